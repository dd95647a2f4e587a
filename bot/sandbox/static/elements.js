// Block Kit's interactive elements: buttons, menus and inputs.
import { h } from "./dom.js";
import { confirmed } from "./confirm.js";
import { textObject } from "./mrkdwn.js";

// Renders one element. `context` holds `onUse(spec, chosen)`, and `inputs` for the values of a later submission.
export function element(spec, context) {
  return (ELEMENTS[spec.type] ?? unknown)(spec, context);
}

async function use(spec, context, chosen, node) {
  if (spec.confirm && !(await confirmed(spec.confirm, context.sandbox))) return;
  node.classList.add("busy");
  try {
    await context.onUse(spec, chosen);
  } finally {
    node.classList.remove("busy");
  }
}

function button(spec, context) {
  const node = h("button", {
    type: "button",
    class: `kit-button ${spec.style ?? ""}`,
    "aria-label": spec.accessibility_label,
    "data-action": spec.action_id,
    "data-focus": `${spec.block_id}/${spec.action_id}`,
    onclick: () => use(spec, context, {}, node),
  }, textObject(spec.text, context.sandbox));
  return node;
}

const optionsOf = (spec) => spec.options ?? (spec.option_groups ?? []).flatMap((group) => group.options);
const peopleAsOptions = (sandbox) => sandbox.people.map((each) => ({ text: { text: each.name }, value: each.id }));

function select(spec, context, options, initial, result) {
  const node = h("select", attributes(spec, context),
    h("option", { value: "" }, spec.placeholder?.text ?? "Choose…"),
    options.map((option) => h("option", { value: option.value, selected: option.value === initial }, option.text.text)));
  const read = () => result(options.find((option) => option.value === node.value) ?? null);
  if (context.immediate) node.addEventListener("change", () => use(spec, context, read(), node));
  return register(spec, context, node, read);
}

function text(spec, context) {
  const node = h(spec.multiline ? "textarea" : "input", {
    ...attributes(spec, context), value: spec.initial_value ?? "", placeholder: spec.placeholder?.text,
    minlength: spec.min_length, maxlength: spec.max_length, rows: spec.multiline ? 3 : undefined,
  });
  return register(spec, context, node, () => ({ value: node.value || null }));
}

function attributes(spec, context) {
  return {
    class: "kit-input", "aria-label": context.label ?? spec.placeholder?.text ?? spec.action_id,
    "data-action": spec.action_id, "data-focus": `${spec.block_id}/${spec.action_id}`, autofocus: spec.focus_on_load,
  };
}

function register(spec, context, node, read) {
  context.inputs.push({ block: spec.block_id, action: spec.action_id, read: () => ({ type: spec.type, ...read() }) });
  return node;
}

function unknown(spec) {
  return h("span", { class: "unknown" }, `[${spec.type}]`);
}

const ELEMENTS = {
  button,
  static_select: (spec, context) => select(spec, context, optionsOf(spec), spec.initial_option?.value, (option) => ({ selected_option: option })),
  users_select: (spec, context) => select(spec, context, peopleAsOptions(context.sandbox), spec.initial_user, (option) => ({ selected_user: option?.value ?? null })),
  plain_text_input: text,
};
