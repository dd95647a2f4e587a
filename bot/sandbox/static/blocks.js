// Block Kit: what a message, a Home tab or a modal is made of.
import { h } from "./dom.js";
import { mrkdwn } from "./mrkdwn.js";
import { element, words } from "./elements.js";

// `place`: world, uses(spec, chosen), inputs (filled here), immediate, errors by block id.
export function blocks(list, place) {
  return list.map((block, index) => {
    const id = block.block_id ?? `b${index}`;
    const node = (KINDS[block.type] ?? unknown)({ ...block, block_id: id }, place);
    node.classList.add("block");
    return node;
  });
}

// What inputs hold now, as Slack sends it: block id → action id → input.
export function values(inputs) {
  const all = {};
  for (const { block, action, read } of inputs) (all[block] ??= {})[action] = read();
  return all;
}

const inside = (block, spec) => ({ block_id: block.block_id, ...spec });

function section(block, place) {
  const body = h("div", { class: "section-body" },
    block.text ? h("div", { class: "text" }, words(block.text, place.world)) : null,
    block.fields ? h("div", { class: "fields" }, block.fields.map((field) => h("div", { class: "text" }, words(field, place.world)))) : null);
  const accessory = block.accessory ? h("div", { class: "accessory" }, accessoryOf(block, place)) : null;
  return h("div", { class: "section" }, body, accessory);
}

function accessoryOf(block, place) {
  return block.accessory.type === "image" ? picture(block.accessory) : element(inside(block, block.accessory), place);
}

function context(block, place) {
  return h("div", { class: "context" }, block.elements.map((each) =>
    each.type === "image" ? picture(each) : h("span", { class: "text" }, words(each, place.world))));
}

function actions(block, place) {
  return h("div", { class: "actions" }, block.elements.map((each) => element(inside(block, each), place)));
}

function input(block, place) {
  const error = place.errors?.[block.block_id];
  const label = block.label.text + (block.optional ? " (optional)" : "");
  const control = element(inside(block, block.element), { ...place, label, immediate: block.dispatch_action === true });
  if (error) control.setAttribute("aria-invalid", "true");
  return h("div", { class: "input" }, h("span", { class: "label", "aria-hidden": "true" }, block.label.text,
    block.optional ? h("small", {}, " (optional)") : null), control,
  error ? h("p", { class: "error", role: "alert" }, error) : null,
  block.hint ? h("p", { class: "hint" }, block.hint.text) : null);
}

// Pictures from elsewhere are not fetched: the sandbox works without a network, and tells nobody that it runs.
function picture(spec) {
  return h("span", { class: "picture", role: "img", "aria-label": spec.alt_text }, spec.alt_text);
}

function rich(block, place) {
  const inline = (each) => {
    if (each.elements) return h(each.type === "rich_text_preformatted" ? "pre" : each.type === "rich_text_quote" ? "blockquote" : "div", {}, each.elements.map(inline));
    if (each.type === "user") return h("span", { class: "mention" }, `@${place.world.name(each.user_id) ?? each.user_id}`);
    const style = each.style ?? {};
    const tag = style.code ? "code" : style.bold ? "b" : style.italic ? "i" : style.strike ? "s" : "span";
    return h(tag, {}, each.text ?? each.url ?? each.name ?? "");
  };
  return h("div", { class: "text" }, block.elements.map(inline));
}

function unknown(block) {
  return h("div", { class: "unknown" }, `[${block.type}]`);
}

const KINDS = {
  section,
  context,
  actions,
  input,
  header: (block, place) => h("h3", { class: "kit-header" }, words(block.text, place.world)),
  divider: () => h("hr"),
  image: (block) => h("div", {}, picture(block)),
  rich_text: rich,
  markdown: (block, place) => h("div", { class: "text" }, mrkdwn(block.text, place.world)),
};
