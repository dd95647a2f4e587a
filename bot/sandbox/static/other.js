// The other side: what Turso received, which tokens still work, and the audit trail.
import { h, keyed } from "./dom.js";
import { clock } from "./mrkdwn.js";

const get = (id) => document.getElementById(id);

export function setTroubles(world, act) {
  const choose = async (trouble) => { if (!(await act("trouble", { trouble }))) mark(document.body.dataset.trouble); };
  get("troubles").append(...world.troubles.map((each) =>
    h("label", { class: "chip", title: each.about },
      h("input", { type: "radio", name: "trouble", value: each.id, onchange: () => choose(each.id) }),
      h("span", {}, each.label))));
  get("restart").addEventListener("click", () => act("restart", {}));
}

function mark(trouble) {
  for (const radio of get("troubles").querySelectorAll("input")) radio.checked = radio.value === trouble;
}

export function other(world, picture, act) {
  // A picture that was drawn before a click arrived must not undo it.
  if (document.body.dataset.trouble !== picture.trouble) mark(picture.trouble);
  document.body.dataset.trouble = picture.trouble;
  get("trouble-about").textContent = world.troubles.find((each) => each.id === picture.trouble)?.about ?? "";
  get("restart").disabled = picture.bot.state === "starting";
  services(picture.services, act);
  const newest = (list) => [...list].reverse();
  keyed(get("requests"), newest(picture.requests), (each) => each.id, (each) => request(each, world));
  keyed(get("trail"), newest(picture.trail), (each) => each.seq, (each) => event(each, world));
  get("no-requests").hidden = picture.requests.length > 0;
  get("no-trail").hidden = picture.trail.length > 0;
  get("n-requests").textContent = String(picture.requests.length);
  get("n-trail").textContent = String(picture.trail.length);
}

function services(all, act) {
  keyed(get("services"), all, (each) => each.name, (each) =>
    h("li", { class: each.works ? "alive" : "dead", "data-service": each.name },
      h("span", { class: "dot", "aria-hidden": "true" }),
      h("span", { class: "who" }, h("b", {}, each.name), h("small", {}, each.database ? `database ${each.database}` : `group ${each.group}`)),
      each.works ? h("span", { class: "fate" }, "works")
        : [h("span", { class: "fate" }, "refused"), h("button", { type: "button", class: "plain tiny", "aria-label": `Redeploy ${each.name} with a new token`, onclick: () => act("redeploy", { service: each.name }) }, "Redeploy")]));
}

function request(each, world) {
  const path = each.path.replace(`/v1/organizations/${world.organization}`, "…");
  const fate = each.status ?? (each.ended ? "no answer" : "waiting");
  const mood = each.status === null ? (each.ended ? "bad" : "wait") : each.status < 300 ? "good" : each.status < 500 ? "warn" : "bad";
  return h("li", { class: each.rotates ? "rotates" : "", "data-status": String(fate) },
    h("span", { class: "method" }, each.method), h("span", { class: "path", title: each.path }, path),
    h("span", { class: `status ${mood}` }, String(fate)),
    h("small", { class: "when" }, clock(each.at, true), each.rotates && each.performed ? h("b", {}, " · tokens ended") : null,
      each.rotates && !each.performed && each.ended ? " · nothing happened" : null));
}

const MOODS = { succeeded: "good", granted: "good", failed: "bad", denied: "bad", unknown: "warn", rejected: "warn", expired: "dull", cancelled: "dull", revoked: "dull" };

function event(each, world) {
  const by = each.team_id === "cli" ? `${each.user_id} on a terminal` : world.name(each.user_id) ?? (each.user_id || "system");
  const may = each.detail.role === "audit" ? "may read everything" : `may rotate ${each.detail.pattern}`;
  const whom = each.detail.pattern ? `${world.name(each.detail.user) ?? each.detail.user} ${may}` : null;
  const last = each.action.split(".").at(-1);
  const facts = Object.entries({ rotation: each.rotation_id, by: `${each.user_id} ${each.team_id}`.trim(), ...each.detail }).filter(([, value]) => value !== null && value !== "");
  return h("li", { "data-action": each.action },
    h("details", {},
      h("summary", {}, h("span", { class: `dot ${MOODS[last] ?? "calm"}`, "aria-hidden": "true" }),
        h("span", { class: "what" }, h("b", {}, each.action), h("small", {}, [by, each.group ?? whom].filter(Boolean).join(" · "))),
        h("small", { class: "when" }, clock(moment(each.at), true))),
      h("dl", {}, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, typeof value === "string" ? value : JSON.stringify(value))]))));
}

// SQLite holds "2026-11-24 01:59:07.970318", in UTC; a number means microseconds.
function moment(at) {
  if (typeof at === "number") return at > 1e12 ? at / 1e6 : at;
  const text = at.replace(" ", "T");
  return new Date(/[zZ]|[+-]\d\d:\d\d$/.test(text) ? text : `${text}Z`).getTime() / 1000;
}
