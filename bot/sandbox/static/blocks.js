// Renders the blocks of a message, a Home tab or a modal.
import { h } from "./dom.js";
import { textObject } from "./mrkdwn.js";
import { element } from "./elements.js";

// `context`: sandbox, onUse(spec, chosen), inputs (filled here), immediate, errors by block id.
export function blocks(list, context) {
  return list.map((block, index) => {
    const id = block.block_id ?? `b${index}`;
    const node = (BLOCKS[block.type] ?? unknown)({ ...block, block_id: id }, context);
    node.classList.add("block");
    return node;
  });
}

// Returns the current values of the inputs, in Slack's shape: block id → action id → input.
export function values(inputs) {
  const all = {};
  for (const { block, action, read } of inputs) (all[block] ??= {})[action] = read();
  return all;
}

const inBlock = (block, spec) => ({ block_id: block.block_id, ...spec });

function section(block, context) {
  const text = (object) => h("div", { class: "text" }, textObject(object, context.sandbox));
  const body = h("div", { class: "section-body" },
    block.text ? text(block.text) : null,
    block.fields ? h("div", { class: "fields" }, block.fields.map(text)) : null);
  const accessory = block.accessory ? h("div", { class: "accessory" }, element(inBlock(block, block.accessory), context)) : null;
  return h("div", { class: "section" }, body, accessory);
}

function contextBlock(block, context) {
  return h("div", { class: "context" }, block.elements.map((each) => h("span", { class: "text" }, textObject(each, context.sandbox))));
}

function actions(block, context) {
  return h("div", { class: "actions" }, block.elements.map((each) => element(inBlock(block, each), context)));
}

function input(block, context) {
  const error = context.errors?.[block.block_id];
  const label = block.label.text + (block.optional ? " (optional)" : "");
  const control = element(inBlock(block, block.element), { ...context, label, immediate: block.dispatch_action === true });
  if (error) control.setAttribute("aria-invalid", "true");
  return h("div", { class: "input" },
    h("span", { class: "label", "aria-hidden": "true" }, block.label.text, block.optional ? h("small", {}, " (optional)") : null),
    control,
    error ? h("p", { class: "error", role: "alert" }, error) : null,
    block.hint ? h("p", { class: "hint" }, block.hint.text) : null);
}

function unknown(block) {
  return h("div", { class: "unknown" }, `[${block.type}]`);
}

const BLOCKS = {
  section,
  context: contextBlock,
  actions,
  input,
  header: (block, context) => h("h3", { class: "kit-header" }, textObject(block.text, context.sandbox)),
  divider: () => h("hr"),
};
