// Block Kit's interactive elements: buttons, menus and inputs.
import { h } from "./dom.js";
import { mrkdwn, plain } from "./mrkdwn.js";
import { asks } from "./dialogs.js";

export const words = (text, world) => (text?.type === "mrkdwn" ? mrkdwn(text.text, world) : plain(text?.text ?? "", text?.emoji !== false));

// One element; `place` says what happens when it is used: `uses(chosen)` at once, or kept for the submission.
export function element(spec, place) {
  return (KINDS[spec.type] ?? unknown)(spec, place);
}

async function use(spec, place, chosen, node) {
  if (spec.confirm && !(await asks(spec.confirm, place.world))) return;
  node?.classList.add("busy");
  try {
    await place.uses(spec, chosen);
  } finally {
    node?.classList.remove("busy");
  }
}

function button(spec, place) {
  const node = h("button", {
    type: "button",
    class: `kit-button ${spec.style ?? ""}`,
    "aria-label": spec.accessibility_label,
    "data-action": spec.action_id,
    "data-focus": `${spec.block_id}/${spec.action_id}`,
    onclick: () => use(spec, place, {}, node),
  }, words(spec.text, place.world));
  return node;
}

function overflow(spec, place) {
  const list = h("div", { class: "menu", role: "menu", hidden: true });
  const toggle = h("button", {
    type: "button", class: "kit-button more", "aria-label": "More", "aria-haspopup": "menu", "aria-expanded": "false",
    "data-focus": `${spec.block_id}/${spec.action_id}`,
    onclick: () => open(list.hidden),
  }, "⋯");
  const open = (shown) => {
    list.hidden = !shown;
    toggle.setAttribute("aria-expanded", String(shown));
    if (shown) list.firstElementChild?.focus();
  };
  const pick = (option) => { open(false); use(spec, place, { selected_option: option }, toggle); };
  list.append(...spec.options.map((option) =>
    h("button", { type: "button", role: "menuitem", onclick: () => pick(option) }, words(option.text, place.world))));
  list.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const all = [...list.children];
    if (step) all.at((all.indexOf(document.activeElement) + step) % all.length).focus();
    if (event.key === "Escape") { event.stopPropagation(); open(false); toggle.focus(); }
    if (step || event.key === "Escape") event.preventDefault();
  });
  const box = h("span", { class: "with-menu" }, toggle, list);
  box.addEventListener("focusout", (event) => { if (!box.contains(event.relatedTarget)) open(false); });
  return box;
}

const optionsOf = (spec) => spec.options ?? (spec.option_groups ?? []).flatMap((group) => group.options);
const peopleAsOptions = (world) => world.people.map((each) => ({ text: { text: each.name }, value: each.id }));
const channelsAsOptions = (world) => world.channels.map((each) => ({ text: { text: `#${each.name}` }, value: each.id }));

function select(spec, place, options, initial, told) {
  const node = h("select", attributes(spec, place),
    h("option", { value: "" }, spec.placeholder?.text ?? "Choose…"),
    options.map((option) => h("option", { value: option.value, selected: option.value === initial }, option.text.text)));
  const read = () => told(options.find((option) => option.value === node.value) ?? null);
  return wired(spec, place, node, read);
}

function choices(spec, place, kind) {
  const initial = (spec.initial_options ?? (spec.initial_option ? [spec.initial_option] : [])).map((each) => each.value);
  const name = `${spec.block_id}-${spec.action_id}-${Math.random()}`;
  const boxes = spec.options.map((option) => h("input", { type: kind, name, value: option.value, checked: initial.includes(option.value) }));
  const group = h("span", { class: "choices", role: kind === "radio" ? "radiogroup" : "group" }, spec.options.map((option, index) =>
    h("label", {}, boxes[index], h("span", {}, words(option.text, place.world),
      option.description ? h("small", {}, words(option.description, place.world)) : null))));
  const picked = () => spec.options.filter((_, index) => boxes[index].checked);
  const read = () => (kind === "radio" ? { selected_option: picked()[0] ?? null } : { selected_options: picked() });
  return wired(spec, place, group, read);
}

function many(spec, place) {
  const options = optionsOf(spec);
  const initial = (spec.initial_options ?? []).map((each) => each.value);
  const node = h("select", { ...attributes(spec, place), multiple: true }, options.map((option) =>
    h("option", { value: option.value, selected: initial.includes(option.value) }, option.text.text)));
  const chosen = () => [...node.selectedOptions].map((each) => each.value);
  return wired(spec, place, node, () => ({ selected_options: options.filter((each) => chosen().includes(each.value)) }));
}

function field(spec, place, type, initial, told) {
  const node = h("input", { ...attributes(spec, place), type, value: initial ?? "" });
  return wired(spec, place, node, () => told(node.value || null));
}

function text(spec, place) {
  const node = h(spec.multiline ? "textarea" : "input", {
    ...attributes(spec, place), value: spec.initial_value ?? "", placeholder: spec.placeholder?.text,
    minlength: spec.min_length, maxlength: spec.max_length, rows: spec.multiline ? 3 : undefined,
  });
  return wired(spec, place, node, () => ({ value: node.value || null }), false);
}

function attributes(spec, place) {
  return {
    class: "kit-input", "aria-label": place.label ?? spec.placeholder?.text ?? spec.action_id,
    "data-action": spec.action_id, "data-focus": `${spec.block_id}/${spec.action_id}`, autofocus: spec.focus_on_load,
  };
}

function wired(spec, place, node, read, acts = true) {
  place.inputs.push({ block: spec.block_id, action: spec.action_id, read: () => ({ type: spec.type, ...read() }) });
  if (acts && place.immediate) node.addEventListener("change", () => use(spec, place, read(), node));
  return node;
}

function unknown(spec) {
  return h("span", { class: "unknown" }, `[${spec.type}]`);
}

const stamp = (value) => (value ? Math.floor(new Date(value).getTime() / 1000) : null);

const KINDS = {
  button,
  overflow,
  static_select: (spec, place) => select(spec, place, optionsOf(spec), spec.initial_option?.value, (option) => ({ selected_option: option })),
  users_select: (spec, place) => select(spec, place, peopleAsOptions(place.world), spec.initial_user, (option) => ({ selected_user: option?.value ?? null })),
  channels_select: (spec, place) => select(spec, place, channelsAsOptions(place.world), spec.initial_channel, (option) => ({ selected_channel: option?.value ?? null })),
  conversations_select: (spec, place) => select(spec, place, channelsAsOptions(place.world), spec.initial_conversation, (option) => ({ selected_conversation: option?.value ?? null })),
  multi_static_select: many,
  radio_buttons: (spec, place) => choices(spec, place, "radio"),
  checkboxes: (spec, place) => choices(spec, place, "checkbox"),
  datepicker: (spec, place) => field(spec, place, "date", spec.initial_date, (value) => ({ selected_date: value })),
  timepicker: (spec, place) => field(spec, place, "time", spec.initial_time, (value) => ({ selected_time: value })),
  datetimepicker: (spec, place) => field(spec, place, "datetime-local", null, (value) => ({ selected_date_time: stamp(value) })),
  plain_text_input: text,
};
