// What changed between two drafts, word by word.

const MOST_CELLS = 1_000_000;

/** Runs of {kind: "same" | "gone" | "new", text} that make `before` into `after` (longest common subsequence). */
export function changes(before, after) {
  const old = words(before);
  const now = words(after);
  if (old.length * now.length > MOST_CELLS) {
    return [{ kind: "gone", text: before }, { kind: "new", text: after }];
  }
  const same = (i, j) => old[i].trim() === now[j].trim();
  const lengths = table(old, now, same);
  const runs = [];
  let i = 0;
  let j = 0;
  while (i < old.length || j < now.length) {
    if (i < old.length && j < now.length && same(i, j)) {
      push(runs, "same", now[j]);
      i += 1;
      j += 1;
    } else if (j >= now.length || (i < old.length && lengths[i + 1][j] >= lengths[i][j + 1])) {
      push(runs, "gone", old[i++]);
    } else {
      push(runs, "new", now[j++]);
    }
  }
  return runs;
}

/** The words of a text, each with the white space after it; the last one too, for another may come to stand there. */
function words(text) {
  return text.match(/\S+\s*/g)?.map((word) => (/\s$/.test(word) ? word : `${word} `)) ?? [];
}

/** lengths[i][j]: how long the common subsequence of old[i…] and now[j…] is. */
function table(old, now, same) {
  const lengths = Array.from({ length: old.length + 1 }, () => new Uint32Array(now.length + 1));
  for (let i = old.length - 1; i >= 0; i -= 1) {
    for (let j = now.length - 1; j >= 0; j -= 1) {
      lengths[i][j] = same(i, j) ? lengths[i + 1][j + 1] + 1 : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
    }
  }
  return lengths;
}

function push(runs, kind, text) {
  const last = runs.at(-1);
  if (last?.kind === kind) last.text += text;
  else runs.push({ kind, text });
}
