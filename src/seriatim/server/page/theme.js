// Light, dark, or as the system has it. A classic script in the head, so that no page flashes in the wrong colours.
(() => {
  const order = ["auto", "light", "dark"];
  const words = { auto: "Colours: as the system", light: "Colours: light", dark: "Colours: dark" };
  const root = document.documentElement;

  function kept() {
    try {
      const theme = localStorage.getItem("seriatim.theme");
      return order.includes(theme) ? theme : "auto";
    } catch {
      return "auto"; // storage is switched off
    }
  }

  function show(theme) {
    root.dataset.theme = theme;
    const button = document.getElementById("theme");
    if (!button) return;
    button.querySelector(".sr").textContent = words[theme];
    button.title = words[theme];
  }

  show(kept());
  window.addEventListener("storage", () => show(kept()));
  document.addEventListener("DOMContentLoaded", () => {
    show(kept());
    document.getElementById("theme").addEventListener("click", () => {
      const next = order[(order.indexOf(root.dataset.theme) + 1) % order.length];
      try {
        localStorage.setItem("seriatim.theme", next);
      } catch {
        // it holds for this page alone
      }
      show(next);
    });
  });
})();
