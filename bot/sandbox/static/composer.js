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
  const command = world.command;
  if (!value.startsWith("/") || value.includes("\n")) return [];
  const [first, ...rest] = value.split(" ");
  if (rest.length === 0) {
    const all = [
      { name: command, args: "<group> [reason]", about: "Rotate the tokens of a Turso group", fills: `${command} ` },
      { name: `${command} help`, args: "", about: "How to use it, and what you may rotate", fills: `${command} help` },
    ];
    return all.filter((each) => each.name.startsWith(first));
  }
  if (first !== command || rest.length > 1) return [];
  const groups = world.groups.filter((group) => group.startsWith(rest[0]) && group !== rest[0]);
  return groups.map((group) => ({ name: `${command} ${group}`, args: "[reason]", about: "a group of the sandbox", fills: `${command} ${group} ` }));
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
