// The page: who looks, at what, and the stream of what there is to see.
import { h, keyed } from "./dom.js";
import { avatar, chat } from "./chat.js";
import { compose, fill, placeholder } from "./composer.js";
import { modal } from "./dialogs.js";
import { blocks, values } from "./blocks.js";
import { mrkdwn } from "./mrkdwn.js";
import { other, setTroubles } from "./other.js";

const get = (id) => document.getElementById(id);
const APP = "app"; // the app's own place, beside the channels
const ui = { as: null, place: null, tab: "home" };
let world = null;
let picture = null;
let stream = null;
const read = new Map(); // person/channel → newest ts that was on the screen

start();

async function start() {
  world = await (await fetch("/stage")).json();
  world.name = (id) => (id === world.bot.id ? world.bot.name : world.people.find((each) => each.id === id)?.name);
  world.link = (channel) => `#as=${world.name(ui.as)}&channel=${channel}`;
  get("team").textContent = world.organization;
  people();
  setTroubles(world, act);
  compose(world, (text) => act("type", { channel: channel(), text }));
  document.querySelectorAll(".tabs button").forEach((each) => each.addEventListener("click", () => pane(each.dataset.to)));
  pane("chat");
  addEventListener("hashchange", goes);
  document.addEventListener("visibilitychange", rests);
  goes();
}

function goes() {
  const hash = new URLSearchParams(location.hash.slice(1));
  const wanted = hash.get("as") ?? world.people[0].name;
  const person = world.people.find((each) => [each.id, each.name].includes(wanted)) ?? world.people[0];
  const places = [...world.channels.map((each) => each.id), APP];
  const place = hash.get("channel");
  ui.place = places.includes(place) ? place : world.channels[0].id;
  const enters = ui.place === APP;
  ui.tab = hash.get("tab") === "messages" ? "messages" : "home";
  if (ui.as !== person.id) {
    ui.as = world.you = person.id;
    for (const radio of document.querySelectorAll("[name=as]")) radio.checked = radio.value === ui.as;
    listen();
  }
  if (enters && ui.tab === "home") act("home", {});
  draw();
}

function listen() {
  stream?.close();
  const since = picture ? `&since=${picture.since}` : "";
  stream = new EventSource(`/events?as=${ui.as}${since}`);
  const mine = stream;
  mine.onmessage = (event) => {
    const news = JSON.parse(event.data);
    if (mine !== stream) return;
    picture = news;
    document.body.dataset.ready = picture.bot.state;
    draw();
  };
  // The browser would reconnect with the old address, and so forget the ephemeral messages.
  mine.onerror = () => {
    mine.close();
    if (mine !== stream) return;
    state("lost");
    setTimeout(() => { if (mine === stream) listen(); }, 1000);
  };
}

// A browser gives one site six connections: tabs that nobody looks at let theirs go.
function rests() {
  if (document.hidden) {
    stream?.close();
    stream = null;
  } else if (!stream) listen();
}

async function act(what, said) {
  const answer = await fetch(`/do/${what}`, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ as: ui.as, ...said }),
  }).catch(() => null);
  if (!answer?.ok) toast(answer?.status === 409 ? "That is not there any more." : "The sandbox did not take that.");
  return answer?.ok;
}

const channel = () => (ui.place === APP ? picture?.direct : ui.place);

function draw() {
  if (!picture || picture.you !== ui.as) return;
  state(picture.bot.state);
  places();
  title();
  const atHome = ui.place === APP && ui.tab === "home";
  get("home").hidden = !atHome;
  get("scroller").hidden = get("composer").hidden = atHome;
  if (atHome) home();
  else chat(world, picture.messages, channel(), act);
  modal(picture.modal, world, act);
  other(world, picture, act);
}

function state(now) {
  const said = { up: "bot is up", starting: "bot is starting…", down: "bot is down", lost: "sandbox is gone; trying again…" }[now];
  const node = get("bot-state");
  if (node.textContent !== said) node.textContent = said;
  node.dataset.state = now;
  node.title = picture?.bot.tail || (picture?.bot.pid ? `process ${picture.bot.pid}` : "");
}

function people() {
  get("people").append(...world.people.map((each) => h("label", { class: "person" },
    h("input", { type: "radio", name: "as", value: each.id, onchange: () => goTo({ as: each.name }) }),
    avatar(each.id, each.name),
    h("span", {}, h("b", {}, each.name), h("small", {}, each.about)))));
}

function goTo(change) {
  const hash = new URLSearchParams({ as: world.name(ui.as), channel: ui.place, ...change });
  if (change.channel && change.channel !== APP) hash.delete("tab");
  location.hash = hash.toString();
}

function places() {
  const newest = new Map();
  for (const each of picture.messages) newest.set(each.channel, each.ts);
  const here = channel();
  if (!document.hidden) read.set(`${ui.as}/${here}`, newest.get(here));
  const rows = world.channels.map((each) => ({ ...each, mark: "#" }));
  const app = { id: APP, name: world.bot.name, mark: "bot" };
  const look = (row) => {
    const id = row.id === APP ? picture.direct : row.id;
    return { ...row, as: ui.as, current: row.id === ui.place, unread: newest.has(id) && read.get(`${ui.as}/${id}`) !== newest.get(id) && row.id !== ui.place };
  };
  keyed(get("channels"), rows.map(look), (row) => row.id, entry);
  keyed(get("apps"), [look(app)], (row) => row.id, entry);
}

function entry(row) {
  return h("li", {}, h("a", {
    href: `#${new URLSearchParams({ as: world.name(ui.as), channel: row.id })}`, class: row.unread ? "unread" : "",
    "aria-current": row.current ? "page" : false, "data-focus": row.id, onclick: () => pane("chat"),
  }, row.mark === "#" ? h("span", { class: "mark", "aria-hidden": "true" }, "#") : h("img", { src: "/static/bot.svg", alt: "", width: "20", height: "20" }),
  h("span", {}, row.name), row.unread ? h("span", { class: "new" }, "new") : null));
}

const TOPICS = { incident: "Where it burns. Type a slash command.", "audit-log": "The bot announces every rotation here." };

function title() {
  const known = world.channels.find((each) => each.id === ui.place);
  get("title").textContent = known ? `# ${known.name}` : world.bot.name;
  get("topic").textContent = known ? TOPICS[known.name] ?? "" : "";
  get("topic").hidden = !known;
  get("you").textContent = `as ${world.name(ui.as)}`;
  document.title = `${known ? `#${known.name}` : world.bot.name} · ${world.name(ui.as)} · turso-rotate sandbox`;
  placeholder(`Message ${known ? `#${known.name}` : world.bot.name}`);
  const tabs = get("app-tabs");
  tabs.hidden = Boolean(known);
  keyed(tabs, known ? [] : ["home", "messages"].map((id) => ({ id, current: id === ui.tab })), (each) => each.id, (each) =>
    h("button", { type: "button", role: "tab", "aria-selected": String(each.current), "data-focus": each.id, onclick: () => goTo({ tab: each.id }) }, each.id === "home" ? "Home" : "Messages"));
  keyed(get("intro"), [{ place: ui.place, name: known?.name }], (each) => each.place, intro);
}

const TRIES = ["/turso-rotate payments key leaked in CI log", "/turso-rotate default", "/turso-rotate help", "/turso-audit 7d"];

function intro({ name }) {
  if (!name) return h("div", {}, h("h2", {}, `This is your conversation with ${world.bot.name}`));
  if (name !== "incident") return h("div", {}, h("h2", {}, `# ${name}`), h("p", {}, TOPICS[name] ?? ""));
  return h("div", {}, h("h2", {}, `# ${name}`), h("p", {}, "The real bot is in this channel. Type ", h("code", {}, world.commands[0]), " as in Slack, or start with one of these:"),
    h("p", { class: "tries" }, TRIES.map((each) => h("button", { type: "button", class: "try", onclick: () => fill(each) }, each))),
    h("p", { class: "fine" }, "Then act as somebody else, or make it a bad day, and see what the bot does."));
}

let homeLooks = null;

function home() {
  const looks = JSON.stringify([ui.as, picture.home]);
  if (looks === homeLooks) return;
  homeLooks = looks;
  const view = picture.home;
  const inputs = [];
  const uses = (spec, chosen) => act("use", { view: view.id, block_id: spec.block_id, action_id: spec.action_id, chosen, values: values(inputs) });
  const place = { world, uses, inputs, immediate: true };
  const empty = h("div", { class: "nothing" }, h("img", { src: "/static/bot.svg", alt: "", width: "64", height: "64" }),
    h("h2", {}, "Nothing here yet"), h("p", {}, mrkdwn("The app has not published a Home tab. Its slash command works in every channel.", world)));
  const focus = document.activeElement?.closest?.("#home") ? document.activeElement.dataset.focus : null;
  get("home").replaceChildren(h("div", { class: "kit" }, view ? blocks(view.blocks, place) : empty));
  if (focus) [...get("home").querySelectorAll("[data-focus]")].find((each) => each.dataset.focus === focus)?.focus();
}

function pane(to) {
  document.body.dataset.pane = to;
  document.querySelectorAll(".tabs button").forEach((each) => (each.dataset.to === to ? each.setAttribute("aria-current", "true") : each.removeAttribute("aria-current")));
}

let fading = null;

function toast(words) {
  const node = get("toast");
  node.textContent = words;
  node.hidden = false;
  clearTimeout(fading);
  fading = setTimeout(() => { node.hidden = true; }, 4000);
}
