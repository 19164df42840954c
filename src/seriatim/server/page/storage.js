// What the browser keeps for the next time. Where storage is switched off, it holds for this page alone.

/** Text kept under `key` in `area`: "localStorage" for every tab, or "sessionStorage" for this tab until it is closed. */
export function storage(area, key) {
  return {
    read() {
      try {
        return window[area].getItem(key);
      } catch {
        return null;
      }
    },
    write(text) {
      try {
        window[area].setItem(key, text);
      } catch {
        // switched off, or full
      }
    },
  };
}
