// The page: who looks at what, and the stream of snapshots.
import { findFocus, get, h, keyed } from "./dom.js";
import { avatar, chat } from "./chat.js";
import { fill, setPlaceholder, setUpComposer } from "./composer.js";
import { modal } from "./modal.js";
import { blocks, values } from "./blocks.js";
import { inspector, setUpInspector } from "./inspector.js";

const APP = "app"; // the app's own entry, next to the channels
const ui = { as: null, channel: null, tab: "home" };
let sandbox = null; // what never changes, and who acts (`you`)
let snapshot = null;
let stream = null;
const read = new Map(); // person/channel → newest ts that was on the screen

start();

async function start() {
  sandbox = await (await fetch("/sandbox")).json();
  sandbox.nameOf = (id) => (id === sandbox.bot.id ? sandbox.bot.name : sandbox.people.find((each) => each.id === id)?.name);
  sandbox.linkTo = (channel) => `#as=${sandbox.nameOf(ui.as)}&channel=${channel}`;
  get("team").textContent = sandbox.organization;
  people();
  setUpInspector(sandbox, act);
  setUpComposer(sandbox, (text) => act("type", { channel: channelId(), text }));
  document.querySelectorAll(".tabs button").forEach((each) => each.addEventListener("click", () => showPane(each.dataset.to)));
  showPane("chat");
  addEventListener("hashchange", navigate);
  document.addEventListener("visibilitychange", onVisibilityChange);
  navigate();
}

function navigate() {
  const hash = new URLSearchParams(location.hash.slice(1));
  const name = hash.get("as");
  const person = sandbox.people.find((each) => [each.id, each.name].includes(name)) ?? sandbox.people[0];
  const channels = [...sandbox.channels.map((each) => each.id), APP];
  const channel = hash.get("channel");
  ui.channel = channels.includes(channel) ? channel : sandbox.channels[0].id;
  ui.tab = hash.get("tab") === "messages" ? "messages" : "home";
  if (ui.as !== person.id) {
    ui.as = sandbox.you = person.id;
    for (const radio of document.querySelectorAll("[name=as]")) radio.checked = radio.value === ui.as;
    connect();
  }
  if (ui.channel === APP && ui.tab === "home") act("open_home", {});
  draw();
}

function connect() {
  stream?.close();
  const since = snapshot ? `&since=${snapshot.since}` : "";
  const source = new EventSource(`/events?as=${ui.as}${since}`);
  stream = source;
  source.onmessage = (event) => {
    if (source !== stream) return;
    snapshot = JSON.parse(event.data);
    document.body.dataset.ready = snapshot.bot.state;
    draw();
  };
  // The browser would reconnect to the old address, and so lose the ephemeral messages.
  source.onerror = () => {
    source.close();
    if (source !== stream) return;
    botState("lost");
    setTimeout(() => { if (source === stream) connect(); }, 1000);
  };
}

// A browser opens at most six connections to a site: hidden tabs close theirs.
function onVisibilityChange() {
  if (document.hidden) {
    stream?.close();
    stream = null;
  } else if (!stream) connect();
}

async function act(name, args) {
  const response = await fetch(`/actions/${name}`, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ as: ui.as, ...args }),
  }).catch(() => null);
  if (!response?.ok) toast(response?.status === 409 ? "This is no longer possible." : "The sandbox could not do this.");
  return response?.ok;
}

const channelId = () => (ui.channel === APP ? snapshot?.direct_channel : ui.channel);

function draw() {
  if (!snapshot || snapshot.you !== ui.as) return;
  botState(snapshot.bot.state);
  channelList();
  title();
  const atHome = ui.channel === APP && ui.tab === "home";
  get("home").hidden = !atHome;
  get("scroller").hidden = get("composer").hidden = atHome;
  if (atHome) home();
  else chat(sandbox, snapshot.messages, channelId(), act);
  modal(snapshot.modal, sandbox, act);
  inspector(sandbox, snapshot, act);
}

const BOT_STATES = { up: "bot is up", starting: "bot is starting…", down: "bot is down", lost: "sandbox is unreachable; retrying…" };

function botState(state) {
  const node = get("bot-state");
  if (node.textContent !== BOT_STATES[state]) node.textContent = BOT_STATES[state];
  node.dataset.state = state;
  node.title = snapshot?.bot.log_tail || (snapshot?.bot.pid ? `process ${snapshot.bot.pid}` : "");
}

function people() {
  get("people").append(...sandbox.people.map((each) => h("label", { class: "person" },
    h("input", { type: "radio", name: "as", value: each.id, onchange: () => goTo({ as: each.name }) }),
    avatar(each.id, each.name),
    h("span", {}, h("b", {}, each.name), h("small", {}, each.about)))));
}

function goTo(change) {
  location.hash = new URLSearchParams({ as: sandbox.nameOf(ui.as), channel: ui.channel, ...change }).toString();
}

function channelList() {
  const newest = new Map();
  for (const each of snapshot.messages) newest.set(each.channel, each.ts);
  const here = channelId();
  if (!document.hidden) read.set(`${ui.as}/${here}`, newest.get(here));
  const withState = (row) => {
    const id = row.id === APP ? snapshot.direct_channel : row.id;
    const current = row.id === ui.channel;
    return { ...row, as: ui.as, current, unread: !current && newest.has(id) && read.get(`${ui.as}/${id}`) !== newest.get(id) };
  };
  keyed(get("channels"), sandbox.channels.map(withState), (row) => row.id, channelLink);
  keyed(get("apps"), [withState({ id: APP, name: sandbox.bot.name })], (row) => row.id, channelLink);
}

function channelLink(row) {
  const icon = row.id === APP ? h("img", { src: "/static/bot.svg", alt: "", width: "20", height: "20" }) : h("span", { class: "icon", "aria-hidden": "true" }, "#");
  return h("li", {}, h("a", {
    href: `#${new URLSearchParams({ as: sandbox.nameOf(ui.as), channel: row.id })}`, class: row.unread ? "unread" : "",
    "aria-current": row.current ? "page" : false, "data-focus": row.id, onclick: () => showPane("chat"),
  }, icon, h("span", {}, row.name), row.unread ? h("span", { class: "new" }, "new") : null));
}

const TOPICS = { incident: "Type a slash command here.", "audit-log": "The bot announces every rotation here." };

function title() {
  const channel = sandbox.channels.find((each) => each.id === ui.channel);
  const name = channel ? `#${channel.name}` : sandbox.bot.name;
  get("title").textContent = channel ? `# ${channel.name}` : sandbox.bot.name;
  get("topic").textContent = channel ? TOPICS[channel.name] ?? "" : "";
  get("topic").hidden = !channel;
  get("you").textContent = `as ${sandbox.nameOf(ui.as)}`;
  document.title = `${name} · ${sandbox.nameOf(ui.as)} · turso-rotate sandbox`;
  setPlaceholder(`Message ${name}`);
  const tabs = get("app-tabs");
  tabs.hidden = Boolean(channel);
  keyed(tabs, channel ? [] : ["home", "messages"].map((id) => ({ id, current: id === ui.tab })), (each) => each.id, (each) =>
    h("button", { type: "button", role: "tab", "aria-selected": String(each.current), "data-focus": each.id, onclick: () => goTo({ tab: each.id }) }, each.id === "home" ? "Home" : "Messages"));
  keyed(get("intro"), [{ id: ui.channel, name: channel?.name }], (each) => each.id, intro);
}

const EXAMPLES = ["/turso-rotate payments key leaked in CI log", "/turso-rotate default", "/turso-rotate help", "/turso-audit 7d"];

function intro({ name }) {
  if (!name) return h("div", {}, h("h2", {}, `This is your conversation with ${sandbox.bot.name}`));
  if (name !== "incident") return h("div", {}, h("h2", {}, `# ${name}`), h("p", {}, TOPICS[name] ?? ""));
  return h("div", {}, h("h2", {}, `# ${name}`), h("p", {}, "The real bot is in this channel. Type ", h("code", {}, sandbox.commands[0]), " as you would in Slack, or start with an example:"),
    h("p", { class: "examples" }, EXAMPLES.map((each) => h("button", { type: "button", class: "example", onclick: () => fill(each) }, each))),
    h("p", { class: "note" }, "Then act as another person, or choose a failure in the inspector, and see what the bot does."));
}

let homeJson = null;

function home() {
  const json = JSON.stringify([ui.as, snapshot.home]);
  if (json === homeJson) return;
  homeJson = json;
  const view = snapshot.home;
  const inputs = [];
  const onUse = (spec, chosen) => act("use", { view: view.id, block_id: spec.block_id, action_id: spec.action_id, chosen, values: values(inputs) });
  const empty = h("div", { class: "empty-home" }, h("img", { src: "/static/bot.svg", alt: "", width: "64", height: "64" }),
    h("h2", {}, "Nothing here yet"), h("p", {}, "The app has not published a Home tab. Its slash commands work in every channel."));
  const node = get("home");
  const focus = document.activeElement?.closest?.("#home") ? document.activeElement.dataset.focus : null;
  node.replaceChildren(h("div", { class: "kit" }, view ? blocks(view.blocks, { sandbox, onUse, inputs, immediate: true }) : empty));
  findFocus(node, focus)?.focus();
}

function showPane(name) {
  document.body.dataset.pane = name;
  document.querySelectorAll(".tabs button").forEach((each) => (each.dataset.to === name ? each.setAttribute("aria-current", "true") : each.removeAttribute("aria-current")));
}

let toastTimer = null;

function toast(text) {
  const node = get("toast");
  node.textContent = text;
  node.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { node.hidden = true; }, 4000);
}
