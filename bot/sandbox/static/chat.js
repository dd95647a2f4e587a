// A channel's messages.
import { h, keyed } from "./dom.js";
import { mrkdwn, clock, day } from "./mrkdwn.js";
import { blocks, values } from "./blocks.js";

const scroller = document.getElementById("scroller");
const list = document.getElementById("messages");
const GROUPED_SECONDS = 300;
let bottom = true;
let showing = "";

scroller.addEventListener("scroll", () => {
  bottom = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 60;
});
// A card that settles grows or shrinks: whoever was at the end stays there.
new ResizeObserver(() => follow()).observe(list);
new ResizeObserver(() => follow()).observe(scroller);

function follow() {
  if (bottom) scroller.scrollTop = scroller.scrollHeight;
}

export function chat(world, messages, channel, act) {
  if (showing !== `${channel}/${world.you}`) bottom = true;
  showing = `${channel}/${world.you}`;
  let before = null;
  const rows = messages.filter((each) => each.channel === channel).map((message) => {
    const row = { ...message, you: world.you, joins: joins(before, message), newDay: before === null || day(before.ts) !== day(message.ts) };
    before = message;
    return row;
  });
  keyed(list, rows, (row) => `${world.you}/${row.channel}/${row.ts}`, (row) => item(row, world, act));
  follow();
}

function joins(before, message) {
  return before !== null && before.author === message.author && !before.ephemeral && !message.ephemeral
    && Number(message.ts) - Number(before.ts) < GROUPED_SECONDS && day(before.ts) === day(message.ts);
}

function item(row, world, act) {
  const isBot = row.author === "bot";
  const name = isBot ? world.bot.name : row.author === "slackbot" ? "Slackbot" : world.name(row.author) ?? row.author;
  const body = h("div", { class: "kit" }, content(row, world, act));
  const head = h("div", { class: "by" }, h("b", { class: "name" }, name),
    row.author === "bot" ? h("span", { class: "app" }, "APP") : null,
    h("time", { datetime: new Date(Number(row.ts) * 1000).toISOString() }, clock(Number(row.ts))));
  const eye = row.ephemeral ? h("p", { class: "only-you" }, h("span", { class: "eye", "aria-hidden": "true" }), "Only visible to you") : null;
  const joined = row.joins && !row.newDay;
  return h("li", { class: `message ${row.ephemeral ? "ephemeral" : ""} ${joined ? "joined" : ""}`, "data-ts": row.ts },
    row.newDay ? h("div", { class: "day", role: "separator" }, h("span", {}, day(row.ts))) : null,
    eye,
    h("div", { class: "row" }, joined ? h("time", { class: "gutter" }, clock(Number(row.ts)).replace(/ [AP]M/, "")) : avatar(row.author, name),
      h("div", { class: "said" }, joined ? null : head, body)));
}

function content(row, world, act) {
  if (row.blocks.length === 0) return h("div", { class: "text block" }, mrkdwn(row.text, world));
  const inputs = [];
  const uses = (spec, chosen) => act("use", { channel: row.channel, ts: row.ts, block_id: spec.block_id, action_id: spec.action_id, chosen, values: values(inputs) });
  return blocks(row.blocks, { world, uses, inputs, immediate: true });
}

export function avatar(id, name) {
  if (id === "bot") return h("img", { class: "avatar", src: "/static/bot.svg", alt: "", width: "36", height: "36" });
  return h("span", { class: `avatar of-${name}`, "aria-hidden": "true" }, name[0].toUpperCase());
}
