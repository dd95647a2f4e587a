// The messages of a channel.
import { get, h, keyed } from "./dom.js";
import { mrkdwn, clock, day } from "./mrkdwn.js";
import { blocks, values } from "./blocks.js";

const scroller = get("scroller");
const list = get("messages");
const GROUPED_SECONDS = 300;
let atEnd = true;
let showing = "";

scroller.addEventListener("scroll", () => {
  atEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 60;
});
// A card grows or shrinks when it is updated: stay at the end if the reader was there.
new ResizeObserver(() => stayAtEnd()).observe(list);
new ResizeObserver(() => stayAtEnd()).observe(scroller);

function stayAtEnd() {
  if (atEnd) scroller.scrollTop = scroller.scrollHeight;
}

export function chat(sandbox, messages, channel, act) {
  if (showing !== `${channel}/${sandbox.you}`) atEnd = true;
  showing = `${channel}/${sandbox.you}`;
  let before = null;
  const rows = messages.filter((each) => each.channel === channel).map((message) => {
    const newDay = before === null || day(before.ts) !== day(message.ts);
    const row = { ...message, you: sandbox.you, newDay, joined: !newDay && continues(before, message) };
    before = message;
    return row;
  });
  keyed(list, rows, (row) => `${sandbox.you}/${row.channel}/${row.ts}`, (row) => item(row, sandbox, act));
  stayAtEnd();
}

// Slack shows the author only once for messages in quick succession.
function continues(before, message) {
  return before.author === message.author && !before.ephemeral && !message.ephemeral
    && Number(message.ts) - Number(before.ts) < GROUPED_SECONDS;
}

function item(row, sandbox, act) {
  const isBot = row.author === "bot";
  const name = isBot ? sandbox.bot.name : row.author === "slackbot" ? "Slackbot" : sandbox.nameOf(row.author) ?? row.author;
  const seconds = Number(row.ts);
  const byline = h("div", { class: "byline" }, h("b", { class: "name" }, name),
    isBot ? h("span", { class: "app" }, "APP") : null,
    h("time", { datetime: new Date(seconds * 1000).toISOString() }, clock(seconds)));
  return h("li", { class: `message ${row.ephemeral ? "ephemeral" : ""} ${row.joined ? "joined" : ""}`, "data-ts": row.ts },
    row.newDay ? h("div", { class: "day", role: "separator" }, h("span", {}, day(row.ts))) : null,
    row.ephemeral ? h("p", { class: "only-you" }, h("span", { class: "eye", "aria-hidden": "true" }), "Only visible to you") : null,
    h("div", { class: "row" },
      row.joined ? h("time", { class: "gutter" }, clock(seconds).replace(/ [AP]M/, "")) : avatar(row.author, name),
      h("div", { class: "message-body" }, row.joined ? null : byline, h("div", { class: "kit" }, content(row, sandbox, act)))));
}

function content(row, sandbox, act) {
  if (row.blocks.length === 0) return h("div", { class: "text block" }, mrkdwn(row.text, sandbox));
  const inputs = [];
  const onUse = (spec, chosen) => act("use", { channel: row.channel, ts: row.ts, block_id: spec.block_id, action_id: spec.action_id, chosen, values: values(inputs) });
  return blocks(row.blocks, { sandbox, onUse, inputs, immediate: true });
}

export function avatar(id, name) {
  if (id === "bot") return h("img", { class: "avatar", src: "/static/bot.svg", alt: "", width: "36", height: "36" });
  return h("span", { class: `avatar of-${name}`, "aria-hidden": "true" }, name[0].toUpperCase());
}
