// The composer, with completion of the slash command.
import { h } from "./dom.js";

const text = document.getElementById("text");
const list = document.getElementById("completions");
let world = null;
let offered = [];
let at = 0;
let dismissed = false;

export function compose(theWorld, sends) {
  world = theWorld;
  const form = document.getElementById("composer");
  form.addEventListener("submit", (event) => { event.preventDefault(); send(sends); });
  text.addEventListener("input", () => { dismissed = false; refresh(); });
  text.addEventListener("keydown", (event) => keys(event, sends));
  text.addEventListener("blur", () => hide());
  text.addEventListener("focus", () => refresh());
  document.getElementById("slash").addEventListener("click", () => fill("/"));
  refresh();
}

export function fill(words) {
  text.value = words;
  text.focus();
  dismissed = false;
  refresh();
}

export function placeholder(words) {
  text.placeholder = words;
  text.setAttribute("aria-label", words);
}

function send(sends) {
  const words = text.value.trim();
  if (!words) return;
  text.value = "";
  refresh();
  sends(words);
}

function keys(event, sends) {
  if (event.isComposing) return;
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const chooses = event.key === "Tab" && !event.shiftKey || (event.key === "Enter" && !event.shiftKey && !finished());
  if (offered.length && step) { at = (at + step + offered.length) % offered.length; mark(); }
  else if (offered.length && chooses) accept(offered[at]);
  else if (offered.length && event.key === "Escape") { dismissed = true; hide(); }
  else if (event.key === "Enter" && !event.shiftKey) send(sends);
  else return;
  event.preventDefault();
}

// Enter on a command that stands there in full sends it; otherwise it takes what is marked.
const finished = () => offered[at] && text.value.trim() === offered[at].fills.trim();

function accept(offer) {
  text.value = offer.fills;
  refresh();
  text.scrollIntoView({ block: "nearest" });
}

function refresh() {
  grow();
  offered = dismissed || document.activeElement !== text ? [] : offers(text.value);
  at = 0;
  list.replaceChildren(...offered.map(row));
  list.hidden = offered.length === 0;
  text.setAttribute("aria-expanded", String(offered.length > 0));
  document.getElementById("send").classList.toggle("ready", text.value.trim() !== "");
  mark();
}

function hide() {
  offered = [];
  list.hidden = true;
  text.setAttribute("aria-expanded", "false");
  text.removeAttribute("aria-activedescendant");
}

function offers(value) {
  const [rotate, audit] = world.commands;
  if (!value.startsWith("/") || value.includes("\n")) return [];
  const words = value.split(" ");
  if (words.length === 1) {
    const all = [
      { name: rotate, args: "<group> [reason]", about: "Rotate the tokens of a Turso group", fills: `${rotate} ` },
      { name: `${rotate} help`, args: "", about: "How to use it, and what you may rotate", fills: `${rotate} help` },
      { name: audit, args: "[group] [@person] [outcome] [7d]", about: "Read who asked for what", fills: `${audit} ` },
    ];
    return all.filter((each) => each.name.startsWith(words[0]));
  }
  if (words[0] === audit) return completed(words, [...world.groups, ...world.people.map((each) => `@${each.name}`), ...world.outcomes, "7d", "me", "help"], "");
  return words[0] === rotate && words.length === 2 ? completed(words, world.groups, "[reason]") : [];
}

// Complete the last word; behind a command that takes several, only once it is begun.
function completed(words, known, args) {
  const before = words.slice(0, -1).join(" ");
  const last = words.at(-1);
  const offered = known.filter((each) => each.startsWith(last) && each !== last && (last || args));
  return offered.map((each) => ({ name: `${before} ${each}`, args, about: "", fills: `${before} ${each} ` }));
}

function row(offer, index) {
  return h("li", { role: "option", id: `offer-${index}`, onmousedown: (event) => { event.preventDefault(); accept(offer); } },
    h("img", { src: "/static/bot.svg", alt: "", width: "20", height: "20" }),
    h("span", { class: "name" }, offer.name), " ", h("span", { class: "args" }, offer.args), h("span", { class: "about" }, offer.about));
}

function mark() {
  [...list.children].forEach((child, index) => child.setAttribute("aria-selected", String(index === at)));
  if (offered.length) text.setAttribute("aria-activedescendant", `offer-${at}`);
  else text.removeAttribute("aria-activedescendant");
}

function grow() {
  text.style.height = "auto";
  text.style.height = `${Math.min(text.scrollHeight, 200)}px`;
}
