// Light, dark, or as the system says. Kept on this device.
export type Theme = "system" | "light" | "dark";

export function theme(): Theme {
  const kept = localStorage.getItem("theme");
  return kept === "light" || kept === "dark" ? kept : "system";
}

export function applyTheme(next: Theme = theme()) {
  if (next === "system") {
    localStorage.removeItem("theme");
    delete document.documentElement.dataset.theme;
  } else {
    localStorage.setItem("theme", next);
    document.documentElement.dataset.theme = next;
  }
}
