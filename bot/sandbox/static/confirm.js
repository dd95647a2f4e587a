// The confirmation dialog of a button or menu with `confirm`.
import { h } from "./dom.js";
import { textObject } from "./mrkdwn.js";

// Resolves to true or false.
export function confirmed(confirm, sandbox) {
  return new Promise((resolve) => {
    const dialog = h("dialog", { class: "modal small", "aria-labelledby": "confirm-title" },
      h("h2", { id: "confirm-title" }, textObject(confirm.title, sandbox)),
      h("div", { class: "modal-body text" }, textObject(confirm.text, sandbox)),
      h("footer", {},
        h("button", { type: "button", class: "kit-button", onclick: () => dialog.close("") }, textObject(confirm.deny, sandbox)),
        h("button", { type: "button", class: `kit-button ${confirm.style ?? "primary"}`, onclick: () => dialog.close("yes") }, textObject(confirm.confirm, sandbox))));
    dialog.addEventListener("close", () => { dialog.remove(); resolve(dialog.returnValue === "yes"); });
    document.body.append(dialog);
    dialog.showModal();
  });
}
