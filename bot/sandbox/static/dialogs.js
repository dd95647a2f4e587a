// Confirmation dialogs and the app's modals, in the browser's own <dialog>: focus stays inside, Escape closes.
import { h } from "./dom.js";
import { blocks, values } from "./blocks.js";
import { words } from "./elements.js";

// Ask before a button with `confirm` is used; resolves to true or false.
export function asks(confirm, world) {
  return new Promise((resolve) => {
    const dialog = h("dialog", { class: "modal small", "aria-labelledby": "asks-title" },
      h("h2", { id: "asks-title" }, words(confirm.title, world)),
      h("div", { class: "modal-body text" }, words(confirm.text, world)),
      h("footer", {},
        h("button", { type: "button", class: "kit-button", onclick: () => dialog.close("") }, words(confirm.deny, world)),
        h("button", { type: "button", class: `kit-button ${confirm.style ?? "primary"}`, onclick: () => dialog.close("yes") }, words(confirm.confirm, world))));
    dialog.addEventListener("close", () => { dialog.remove(); resolve(dialog.returnValue === "yes"); });
    document.body.append(dialog);
    dialog.showModal();
  });
}

let shown = null; // the modal on the screen: its id, look and element

// Show the topmost modal, or none; what was typed stays while the app changes nothing.
export function modal(view, world, act) {
  const looks = view && JSON.stringify(view);
  if (shown?.looks === looks) return;
  const old = shown;
  shown = null;
  old?.dialog.close();
  old?.dialog.remove();
  if (!view) return;
  const inputs = [];
  const uses = (spec, chosen) => act("use", { view: view.id, block_id: spec.block_id, action_id: spec.action_id, chosen, values: values(inputs) });
  const form = h("form", { onsubmit: (event) => { event.preventDefault(); act("submit", { view: view.id, values: values(inputs) }); } },
    h("h2", { id: "modal-title" }, view.title?.text ?? ""),
    view.errors?.[""] ? h("p", { class: "error", role: "alert" }, view.errors[""]) : null,
    h("div", { class: "modal-body kit" }, blocks(view.blocks, { world, uses, inputs, immediate: true, errors: view.errors })),
    h("footer", {},
      h("button", { type: "button", class: "kit-button", onclick: () => act("close", { view: view.id }) }, view.close?.text ?? "Close"),
      view.submit ? h("button", { type: "submit", class: "kit-button primary" }, view.submit.text) : null));
  const dialog = h("dialog", { class: "modal", "aria-labelledby": "modal-title" }, form);
  dialog.addEventListener("cancel", (event) => { event.preventDefault(); act("close", { view: view.id }); });
  shown = { looks, dialog };
  document.body.append(dialog);
  dialog.showModal();
}
