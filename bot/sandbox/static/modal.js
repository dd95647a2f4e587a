// The app's modals, in the browser's own <dialog>: focus stays inside, Escape closes.
import { h } from "./dom.js";
import { blocks, values } from "./blocks.js";

let shown = null; // the modal on the screen: its JSON and its element

// Shows the topmost modal, or none; typed input survives until the app changes the view.
export function modal(view, sandbox, act) {
  const json = view && JSON.stringify(view);
  if (shown?.json === json) return;
  const old = shown;
  shown = null;
  old?.dialog.close();
  old?.dialog.remove();
  if (!view) return;
  const inputs = [];
  const onUse = (spec, chosen) => act("use", { view: view.id, block_id: spec.block_id, action_id: spec.action_id, chosen, values: values(inputs) });
  const form = h("form", { onsubmit: (event) => { event.preventDefault(); act("submit", { view: view.id, values: values(inputs) }); } },
    h("h2", { id: "modal-title" }, view.title?.text ?? ""),
    view.errors?.[""] ? h("p", { class: "error", role: "alert" }, view.errors[""]) : null,
    h("div", { class: "modal-body kit" }, blocks(view.blocks, { sandbox, onUse, inputs, immediate: true, errors: view.errors })),
    h("footer", {},
      h("button", { type: "button", class: "kit-button", onclick: () => act("close", { view: view.id }) }, view.close?.text ?? "Close"),
      view.submit ? h("button", { type: "submit", class: "kit-button primary" }, view.submit.text) : null));
  const dialog = h("dialog", { class: "modal", "aria-labelledby": "modal-title" }, form);
  dialog.addEventListener("cancel", (event) => { event.preventDefault(); act("close", { view: view.id }); });
  shown = { json, dialog };
  document.body.append(dialog);
  dialog.showModal();
}
