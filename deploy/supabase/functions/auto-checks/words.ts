// Texts as words, as crates/domain/src/checks/words.rs splits them.

export interface Word {
  text: string;
}

/** Runs of letters and digits (with `.` or `,` between digits), and meaningful signs alone. Letters of a script without spaces are no word with others. */
export function words(text: string): Word[] {
  const found: Word[] = [];
  let word = "";
  let separator: string | undefined;
  const end = () => {
    if (word !== "") found.push({ text: word });
    [word, separator] = ["", undefined];
  };
  for (const character of text) {
    if (isInvisible(character)) continue;
    const last = [...word].at(-1);
    if (isAlphanumeric(character)) {
      if (separator !== undefined) {
        const held = separator;
        separator = undefined;
        if (isDigit(character)) word += held;
        else end();
      } else if (last !== undefined && isUnspaced(last) !== isUnspaced(character)) {
        end();
      }
      word += lower(character);
      continue;
    }
    if ("'’‘ʼ＇´`".includes(character)) continue;
    if ((character === "." || character === ",") && separator === undefined && last !== undefined && isDigit(last)) {
      separator = character;
      continue;
    }
    end();
    if ("%$#+€".includes(character)) found.push({ text: character });
  }
  end();
  return found;
}

function isDigit(character: string): boolean {
  return /^[0-9]$/.test(character);
}

function isAlphanumeric(character: string): boolean {
  return /^[\p{Alphabetic}\p{N}]$/u.test(character);
}

/** One character alone, so that a sigma is the same wherever it stands. */
function lower(character: string): string {
  return character.toLowerCase();
}

function isInvisible(character: string): boolean {
  return /^[\u{ad}\u{300}-\u{36f}\u{61c}\u{180e}\u{200b}-\u{200f}\u{202a}-\u{202e}\u{2060}-\u{2069}\u{fe00}-\u{fe0f}\u{feff}]$/u.test(character);
}

/** Han, Hiragana, Katakana, Thai, Lao, Myanmar, Khmer. */
function isUnspaced(character: string): boolean {
  return /^[\u{e01}-\u{e3a}\u{e40}-\u{e4e}\u{e81}-\u{ece}\u{edc}-\u{edf}\u{1000}-\u{103f}\u{1050}-\u{108f}\u{109a}-\u{109f}\u{1780}-\u{17d3}\u{3005}-\u{3007}\u{3041}-\u{309f}\u{30a1}-\u{30fa}\u{30fc}-\u{30ff}\u{31f0}-\u{31ff}\u{3400}-\u{4dbf}\u{4e00}-\u{9fff}\u{f900}-\u{faff}\u{ff66}-\u{ff9f}\u{20000}-\u{3ffff}]$/u
    .test(character);
}
