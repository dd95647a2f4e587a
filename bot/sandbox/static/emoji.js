// Turns the emoji codes that the bot uses into Unicode.
import { h } from "./dom.js";

const KNOWN = {
  alarm_clock: "⏰", arrows_counterclockwise: "🔄", bell: "🔔", books: "📚", boom: "💥", broom: "🧹", bulb: "💡",
  busts_in_silhouette: "👥", bust_in_silhouette: "👤", calendar: "📆", clipboard: "📋", clock1: "🕐",
  closed_lock_with_key: "🔐", eyes: "👀", fire: "🔥", gear: "⚙️", grey_question: "❔", heavy_check_mark: "✔️",
  hourglass: "⌛", hourglass_flowing_sand: "⏳", house: "🏠", information_source: "ℹ️", key: "🔑", link: "🔗",
  lock: "🔒", mag: "🔍", memo: "📝", mute: "🔇", no_entry: "⛔", no_entry_sign: "🚫", point_right: "👉",
  question: "❓", rotating_light: "🚨", scales: "⚖️", scroll: "📜", shield: "🛡️", stopwatch: "⏱️", tada: "🎉", timer_clock: "⏲️",
  unlock: "🔓", warning: "⚠️", wave: "👋", white_check_mark: "✅", wrench: "🔧", x: "❌",
  large_green_circle: "🟢", red_circle: "🔴", white_circle: "⚪", large_yellow_circle: "🟡",
};

// Replaces the codes in a text; returns a list of nodes and strings.
export function emoji(text) {
  return text.split(/(:[a-z0-9_+-]+:)/).filter((part) => part !== "").map((part) => {
    const name = part.slice(1, -1);
    const known = part.length > 2 && part.startsWith(":") && Object.hasOwn(KNOWN, name) ? KNOWN[name] : null;
    return known ? h("span", { class: "emoji", role: "img", "aria-label": name.replaceAll("_", " "), title: part }, known) : part;
  });
}
