// Builds the page from elements and text nodes: nothing that anybody typed is ever parsed as HTML.

export const get = (id) => document.getElementById(id);

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

const rendered = new WeakMap(); // node → the JSON of its item

// Makes the children of `parent` show the items, and touches only those that changed: focus and scrolling survive.
export function keyed(parent, items, key, render) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  items.forEach((item, index) => {
    const name = String(key(item));
    const json = JSON.stringify(item);
    let node = old.get(name);
    if (!node || rendered.get(node) !== json) {
      const fresh = render(item);
      fresh.dataset.key = name;
      rendered.set(fresh, json);
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
  node.replaceWith(fresh);
  if (!focused) return;
  const same = findFocus(fresh, focused.dataset.focus);
  if (!same) fresh.tabIndex = -1;
  (same ?? fresh).focus({ preventScroll: true });
}

// Finds the element that takes over the focus of a replaced one.
export function findFocus(root, key) {
  return key ? [...root.querySelectorAll("[data-focus]")].find((each) => each.dataset.focus === key) : undefined;
}
