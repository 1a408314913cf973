// Light or dark: the system's choice, until the visitor makes another.

const NAME = "theme";
const system = matchMedia("(prefers-color-scheme: dark)");
export type Theme = "light" | "dark";
const readers = new Set<() => void>();

export function theme(): Theme {
  const own = localStorage.getItem(NAME);
  if (own === "light" || own === "dark") return own;
  return system.matches ? "dark" : "light";
}

export function turnTheme(): void {
  localStorage.setItem(NAME, theme() === "dark" ? "light" : "dark");
  apply();
}

/** Returns how to stop. */
export function onTheme(reader: () => void): () => void {
  readers.add(reader);
  return () => readers.delete(reader);
}

export function apply(): void {
  document.documentElement.dataset.theme = theme();
  for (const reader of readers) reader();
}

system.addEventListener("change", apply);
