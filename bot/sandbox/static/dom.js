// Builds the page from text nodes and elements: nothing anybody wrote is ever parsed as HTML.

export function h(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "class") node.className = value;
    else if (name === "value" || name === "checked" || name === "selected") node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const drawn = new WeakMap();

// Make the children of `parent` show the items, touching only those that changed: focus and scrolling survive.
export function keyed(parent, items, key, render) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  items.forEach((item, index) => {
    const name = String(key(item));
    const looks = JSON.stringify(item);
    let node = old.get(name);
    if (!node || drawn.get(node) !== looks) {
      const fresh = render(item);
      fresh.dataset.key = name;
      drawn.set(fresh, looks);
      if (node) replace(node, fresh);
      node = fresh;
    }
    old.delete(name);
    if (parent.children[index] !== node) parent.insertBefore(node, parent.children[index] ?? null);
  });
  old.forEach((node) => node.remove());
}

function replace(node, fresh) {
  const focused = node.contains(document.activeElement) ? document.activeElement : null;
  const again = focused?.dataset.focus;
  node.replaceWith(fresh);
  if (!focused) return;
  const same = again ? [...fresh.querySelectorAll("[data-focus]")].find((each) => each.dataset.focus === again) : null;
  if (!same) fresh.tabIndex = -1;
  (same ?? fresh).focus({ preventScroll: true });
}
