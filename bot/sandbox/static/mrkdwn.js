// Renders Slack's mrkdwn, dates and mentions as DOM nodes.
import { h } from "./dom.js";
import { emoji } from "./emoji.js";

const ATOM = /```([\s\S]+?)```|`([^`\n]+)`|<([^<>\n]+)>/g;
const STYLES = [
  ["b", /(?<![\p{L}\p{N}])\*(?!\s)([^*\n]+?)(?<!\s)\*(?![\p{L}\p{N}])/u],
  ["i", /(?<![\p{L}\p{N}])_(?!\s)([^_\n]+?)(?<!\s)_(?![\p{L}\p{N}])/u],
  ["s", /(?<![\p{L}\p{N}])~(?!\s)([^~\n]+?)(?<!\s)~(?![\p{L}\p{N}])/u],
];

function unescape(text) {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}

export function mrkdwn(text, sandbox) {
  const atoms = [];
  // Private-use characters stand for code and references while bold, italic and strike-through are parsed around them.
  const marked = text.replace(/[\uE000\uE001]/g, "\uFFFD").replace(ATOM, (all, pre, code, reference) => {
    atoms.push(atom(pre, code, reference, sandbox));
    return `\uE000${atoms.length - 1}\uE001`;
  });
  const out = document.createDocumentFragment();
  quotes(marked).forEach(([quoted, lines]) => {
    const nodes = styled(lines.join("\n"), atoms);
    out.append(...(quoted ? [h("blockquote", {}, nodes)] : nodes));
  });
  return out;
}

// Renders a text object of Block Kit.
export function textObject(text, sandbox) {
  return text?.type === "mrkdwn" ? mrkdwn(text.text, sandbox) : plain(text?.text ?? "", text?.emoji !== false);
}

function plain(text, withEmoji = true) {
  const node = h("span", { class: "plain" });
  node.append(...(withEmoji ? emoji(text) : [text]));
  return node;
}

function quotes(text) {
  const parts = [];
  for (const line of text.split("\n")) {
    const quoted = line.startsWith("&gt;");
    const last = parts.at(-1);
    const shown = quoted ? line.slice(4).trimStart() : line;
    if (last && last[0] === quoted) last[1].push(shown);
    else parts.push([quoted, [shown]]);
  }
  return parts;
}

function styled(text, atoms) {
  for (const [tag, pattern] of STYLES) {
    const found = pattern.exec(text);
    if (found) {
      const end = found.index + found[0].length;
      const inner = h(tag, {}, styled(found[1], atoms));
      return [...styled(text.slice(0, found.index), atoms), inner, ...styled(text.slice(end), atoms)];
    }
  }
  return text.split(/(\uE000\d+\uE001)/).flatMap((part) => {
    const number = /^\uE000(\d+)\uE001$/.exec(part);
    return number ? [atoms[Number(number[1])]] : emoji(unescape(part));
  });
}

function atom(pre, code, reference, sandbox) {
  if (pre !== undefined) return h("pre", {}, unescape(pre.replace(/^\n/, "")));
  if (code !== undefined) return h("code", {}, unescape(code.replace(/<([^<>|]+)(?:\|([^<>]*))?>/g, (all, to, label) => label ?? to)));
  return refer(reference, sandbox);
}

function refer(reference, sandbox) {
  const bar = reference.indexOf("|");
  const target = bar < 0 ? reference : reference.slice(0, bar);
  const label = bar < 0 ? null : unescape(reference.slice(bar + 1));
  if (target.startsWith("@")) return mention(target.slice(1), label, sandbox);
  if (target.startsWith("#")) return channel(target.slice(1), label, sandbox);
  if (target.startsWith("!date^")) return date(target, label ?? "");
  if (target.startsWith("!")) return h("span", { class: "mention highlight" }, label ?? `@${target.slice(1)}`);
  const address = unescape(target);
  const shown = label || address;
  if (!/^(https?:\/\/|mailto:)/i.test(address)) return document.createTextNode(shown);
  return h("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, shown);
}

function mention(id, label, sandbox) {
  const name = sandbox.nameOf(id) ?? label ?? id;
  return h("span", { class: id === sandbox.you ? "mention highlight" : "mention", title: id }, `@${name}`);
}

function channel(id, label, sandbox) {
  const known = sandbox.channels.find((each) => each.id === id);
  const name = `#${known?.name ?? label ?? id}`;
  return known ? h("a", { class: "mention", href: sandbox.linkTo(id) }, name) : h("span", { class: "mention" }, name);
}

const FORMATS = {
  date_num: { year: "numeric", month: "2-digit", day: "2-digit" },
  date: { year: "numeric", month: "long", day: "numeric" },
  date_short: { year: "numeric", month: "short", day: "numeric" },
  date_long: { year: "numeric", month: "long", day: "numeric", weekday: "long" },
  time: { hour: "numeric", minute: "2-digit" },
  time_secs: { hour: "numeric", minute: "2-digit", second: "2-digit" },
};

function date(target, fallback) {
  const [, seconds, format = ""] = target.split("^");
  const moment = new Date(Number(seconds) * 1000);
  if (Number.isNaN(moment.getTime())) return document.createTextNode(fallback);
  const shown = unescape(format).replace(/\{(\w+)\}/g, (all, name) => {
    const pretty = name.endsWith("_pretty");
    const options = FORMATS[pretty ? name.slice(0, -7) : name];
    if (!options) return all;
    return (pretty && relativeDay(moment)) || new Intl.DateTimeFormat("en-US", options).format(moment);
  });
  return h("time", { datetime: moment.toISOString(), title: moment.toString() }, shown);
}

function relativeDay(moment) {
  const days = Math.round((midnight(moment) - midnight(new Date())) / 86400000);
  return { "-1": "yesterday", 0: "today", 1: "tomorrow" }[days];
}

const midnight = (moment) => new Date(moment.getFullYear(), moment.getMonth(), moment.getDate()).getTime();

export function clock(seconds, withSeconds = false) {
  return new Intl.DateTimeFormat("en-US", withSeconds ? FORMATS.time_secs : FORMATS.time).format(new Date(seconds * 1000));
}

export function day(seconds) {
  const moment = new Date(seconds * 1000);
  const word = relativeDay(moment);
  if (word) return word[0].toUpperCase() + word.slice(1);
  return new Intl.DateTimeFormat("en-US", { weekday: "long", month: "long", day: "numeric" }).format(moment);
}
