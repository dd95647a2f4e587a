// The inspector: failure modes, service tokens, the requests to Turso, and the audit trail.
import { get, h, keyed } from "./dom.js";
import { clock } from "./mrkdwn.js";

export function setUpInspector(sandbox, act) {
  const choose = async (mode) => { if (!(await act("set_failure_mode", { mode }))) check(document.body.dataset.failureMode); };
  get("failure-modes").append(...sandbox.failure_modes.map((each) =>
    h("label", { class: "chip", title: each.about },
      h("input", { type: "radio", name: "failure-mode", value: each.id, onchange: () => choose(each.id) }),
      h("span", {}, each.label))));
  get("restart").addEventListener("click", () => act("restart", {}));
}

function check(mode) {
  for (const radio of get("failure-modes").querySelectorAll("input")) radio.checked = radio.value === mode;
}

export function inspector(sandbox, snapshot, act) {
  const mode = snapshot.failure_mode;
  // A snapshot from before a click must not undo the click.
  if (document.body.dataset.failureMode !== mode) check(mode);
  document.body.dataset.failureMode = mode;
  get("failure-about").textContent = sandbox.failure_modes.find((each) => each.id === mode)?.about ?? "";
  get("restart").disabled = snapshot.bot.state === "starting";
  services(snapshot.services, act);
  const newestFirst = (list) => [...list].reverse();
  keyed(get("requests"), newestFirst(snapshot.requests), (each) => each.id, (each) => request(each, sandbox));
  keyed(get("trail"), newestFirst(snapshot.trail), (each) => each.seq, (each) => event(each, sandbox));
  get("no-requests").hidden = snapshot.requests.length > 0;
  get("no-trail").hidden = snapshot.trail.length > 0;
  get("n-requests").textContent = String(snapshot.requests.length);
  get("n-trail").textContent = String(snapshot.trail.length);
}

function services(all, act) {
  keyed(get("services"), all, (each) => each.name, (each) =>
    h("li", { class: each.works ? "works" : "rejected", "data-service": each.name },
      h("span", { class: "dot", "aria-hidden": "true" }),
      h("span", { class: "who" }, h("b", {}, each.name), h("small", {}, each.database ? `database ${each.database}` : `group ${each.group}`)),
      h("span", { class: "service-state" }, each.works ? "works" : "rejected"),
      each.works ? null
        : h("button", { type: "button", class: "button tiny", "aria-label": `Redeploy ${each.name} with a new token`, onclick: () => act("redeploy", { service: each.name }) }, "Redeploy")));
}

function request(each, sandbox) {
  const path = each.path.replace(`/v1/organizations/${sandbox.organization}`, "…");
  const status = String(each.status ?? (each.ended ? "no response" : "pending"));
  return h("li", { class: each.rotates ? "rotates" : "", "data-status": status },
    h("span", { class: "method" }, each.method), h("span", { class: "path", title: each.path }, path),
    h("span", { class: `status ${statusClass(each)}` }, status),
    h("small", { class: "when" }, clock(each.at, true), each.rotates && each.performed ? h("b", {}, " · tokens invalidated") : null,
      each.rotates && !each.performed && each.ended ? " · no effect" : null));
}

function statusClass({ status, ended }) {
  if (status === null) return ended ? "bad" : "pending";
  return status < 300 ? "good" : status < 500 ? "warn" : "bad";
}

const DOTS = { succeeded: "good", granted: "good", failed: "bad", denied: "bad", unknown: "warn", rejected: "warn", expired: "", cancelled: "", revoked: "" };

function event(each, sandbox) {
  const by = each.team_id === "cli" ? `${each.user_id} in a terminal` : sandbox.nameOf(each.user_id) ?? (each.user_id || "system");
  const right = each.detail.role === "audit" ? "may read everything" : `may rotate ${each.detail.pattern}`;
  const grant = each.detail.pattern ? `${sandbox.nameOf(each.detail.user) ?? each.detail.user} ${right}` : null;
  const last = each.action.split(".").at(-1);
  const facts = Object.entries({ rotation: each.rotation_id, by: `${each.user_id} ${each.team_id}`.trim(), ...each.detail }).filter(([, value]) => value !== null && value !== "");
  return h("li", { "data-action": each.action },
    h("details", {},
      h("summary", {}, h("span", { class: `dot ${DOTS[last] ?? "info"}`, "aria-hidden": "true" }),
        h("span", { class: "what" }, h("b", {}, each.action), h("small", {}, [by, each.group ?? grant].filter(Boolean).join(" · "))),
        h("small", { class: "when" }, clock(Date.parse(each.at) / 1000, true))),
      h("dl", {}, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, typeof value === "string" ? value : JSON.stringify(value))]))));
}
