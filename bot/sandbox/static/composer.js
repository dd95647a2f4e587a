// The message composer, with completion of the slash commands.
import { get, h } from "./dom.js";

const input = get("text");
const list = get("completions");
let sandbox = null;
let completions = [];
let selected = 0;
let dismissed = false;

export function setUpComposer(theSandbox, onSend) {
  sandbox = theSandbox;
  get("composer").addEventListener("submit", (event) => { event.preventDefault(); send(onSend); });
  input.addEventListener("input", () => { dismissed = false; refresh(); });
  input.addEventListener("keydown", (event) => onKey(event, onSend));
  input.addEventListener("blur", () => hide());
  input.addEventListener("focus", () => refresh());
  get("slash").addEventListener("click", () => fill("/"));
  refresh();
}

export function fill(text) {
  input.value = text;
  input.focus();
  dismissed = false;
  refresh();
}

export function setPlaceholder(text) {
  input.placeholder = text;
  input.setAttribute("aria-label", text);
}

function send(onSend) {
  const text = input.value.trim();
  if (!text) return;
  input.value = "";
  refresh();
  onSend(text);
}

function onKey(event, onSend) {
  if (event.isComposing) return;
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const accepts = event.key === "Tab" && !event.shiftKey || (event.key === "Enter" && !event.shiftKey && !isComplete());
  if (completions.length && step) { selected = (selected + step + completions.length) % completions.length; mark(); }
  else if (completions.length && accepts) accept(completions[selected]);
  else if (completions.length && event.key === "Escape") { dismissed = true; hide(); }
  else if (event.key === "Enter" && !event.shiftKey) send(onSend);
  else return;
  event.preventDefault();
}

// Enter sends a command that is typed in full; otherwise it accepts the selected completion.
const isComplete = () => completions[selected] && input.value.trim() === completions[selected].text.trim();

function accept(completion) {
  input.value = completion.text;
  refresh();
  input.scrollIntoView({ block: "nearest" });
}

function refresh() {
  grow();
  completions = dismissed || document.activeElement !== input ? [] : completionsOf(input.value);
  selected = 0;
  list.replaceChildren(...completions.map(row));
  list.hidden = completions.length === 0;
  input.setAttribute("aria-expanded", String(completions.length > 0));
  get("send").classList.toggle("ready", input.value.trim() !== "");
  mark();
}

function hide() {
  completions = [];
  list.hidden = true;
  input.setAttribute("aria-expanded", "false");
  input.removeAttribute("aria-activedescendant");
}

function completionsOf(value) {
  const [rotate, audit] = sandbox.commands;
  if (!value.startsWith("/") || value.includes("\n")) return [];
  const words = value.split(" ");
  if (words.length === 1) {
    const all = [
      { name: rotate, args: "<group> [reason]", about: "Rotate the tokens of a Turso group", text: `${rotate} ` },
      { name: `${rotate} help`, args: "", about: "Show the usage, and which groups you may rotate", text: `${rotate} help` },
      { name: audit, args: "[group] [@person] [outcome] [7d]", about: "Show the history of requests", text: `${audit} ` },
    ];
    return all.filter((each) => each.name.startsWith(words[0]));
  }
  if (words[0] === audit) return lastWord(words, [...sandbox.groups, ...sandbox.people.map((each) => `@${each.name}`), ...sandbox.outcomes, "7d", "me", "help"], "");
  return words[0] === rotate && words.length === 2 ? lastWord(words, sandbox.groups, "[reason]") : [];
}

// Completes the last word; where a command takes several words (no `args`), only once it is begun.
function lastWord(words, known, args) {
  const before = words.slice(0, -1).join(" ");
  const last = words.at(-1);
  const matching = known.filter((each) => each.startsWith(last) && each !== last && (last || args));
  return matching.map((each) => ({ name: `${before} ${each}`, args, about: "", text: `${before} ${each} ` }));
}

function row(completion, index) {
  return h("li", { role: "option", id: `completion-${index}`, onmousedown: (event) => { event.preventDefault(); accept(completion); } },
    h("img", { src: "/static/bot.svg", alt: "", width: "20", height: "20" }),
    h("span", { class: "name" }, completion.name), " ", h("span", { class: "args" }, completion.args), h("span", { class: "about" }, completion.about));
}

function mark() {
  [...list.children].forEach((child, index) => child.setAttribute("aria-selected", String(index === selected)));
  if (completions.length) input.setAttribute("aria-activedescendant", `completion-${selected}`);
  else input.removeAttribute("aria-activedescendant");
}

function grow() {
  input.style.height = "auto";
  input.style.height = `${Math.min(input.scrollHeight, 200)}px`;
}
