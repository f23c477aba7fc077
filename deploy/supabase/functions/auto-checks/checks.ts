// The automatic checks of `tagging_normalization`, as crates/domain/src/checks does them, finding by finding and word by word. A test compares the
// two over generated candidates; whoever changes a rule there raises VERSION there and here.
import { type Word, words } from "./words.ts";

export const VERSION = 4;

export interface Finding {
  check: string;
  candidate: number;
  passed: boolean;
  message: string;
  place: string | null;
}

export interface Task {
  task_type: string;
  context_snippets: unknown;
  prompt: string;
  candidates: unknown[];
}

interface Report {
  pass(check: string, message: string): void;
  fail(check: string, message: string, place: string): void;
}

const MAX_CANDIDATE = { values: 5_000, bytes: 65_536 };
const MAX_SNIPPET = { values: 5_000, bytes: 131_072 };
const MAX_SNIPPETS = 32;
const MAX_DEPTH = 32;
const MAX_PROMPT_BYTES = 16_384;
const MAX_TAG_CHARACTERS = 100;
const TAG = "/tag";

export const CHECKS: Record<string, (context: Context, candidate: unknown, report: Report) => void> = {
  tagging_normalization: tag,
};

interface Context {
  snippets: unknown[];
  prompt: string;
}

/** Every finding about each of at most three candidates. */
export function run(task: Task): Finding[] {
  const check = CHECKS[task.task_type];
  if (!check) throw new Error(`${task.task_type} is not checked here`);
  const given = Array.isArray(task.context_snippets) ? task.context_snippets : [];
  const snippets = given.slice(0, MAX_SNIPPETS).filter((snippet) => fits(snippet, MAX_SNIPPET));
  const context = { snippets, prompt: front(task.prompt, MAX_PROMPT_BYTES) };
  const findings: Finding[] = [];
  task.candidates.slice(0, 3).forEach((value, candidate) => {
    const report: Report = {
      pass: (check, message) => findings.push({ check, candidate, passed: true, message, place: null }),
      fail: (check, message, place) => findings.push({ check, candidate, passed: false, message, place }),
    };
    if (fits(value, MAX_CANDIDATE)) {
      check(context, value, report);
    } else {
      const message =
        `the candidate is too large to check: at most ${MAX_CANDIDATE.values} values, ${MAX_CANDIDATE.bytes} bytes of text, ${MAX_DEPTH} levels`;
      report.fail("size", message, largest(value));
    }
  });
  return findings;
}

function tag(context: Context, candidate: unknown, report: Report): void {
  const value = member(candidate, "tag");
  if (typeof value !== "string") {
    report.fail("candidate_form", 'the candidate has no text under "tag"; give {"tag": "frozen_ice"}', TAG);
    return;
  }
  report.pass("candidate_form", "the candidate names a tag");
  const wrong = wrongForm(value);
  if (wrong) {
    const rule = "is not snake_case (small letters a-z and digits, single underscores between words)";
    report.fail("snake_case", `${quoted(value)} ${rule}: ${wrong.why}`, wrong.place);
  } else {
    report.pass("snake_case", "the tag is snake_case");
  }
  const taxonomy = context.snippets.find((snippet) => member(snippet, "kind") === "taxonomy");
  if (taxonomy === undefined) return;
  const tags = texts(member(taxonomy, "tags"));
  if (tags.length > 0) {
    if (tags.includes(value)) {
      report.pass("in_taxonomy", "the tag is in the taxonomy");
    } else {
      report.fail("in_taxonomy", `${quoted(value)} is not in the taxonomy; choose one of its ${tags.length} tags`, TAG);
    }
  }
  const settled = settledVariant(taxonomy, context.prompt);
  if (!settled) return;
  const [noisy, meant] = settled;
  if (meant === value) {
    report.pass("known_variant", `${quoted(noisy)} is a known variant of this tag`);
  } else {
    report.fail("known_variant", `${quoted(noisy)} is a known variant of ${quoted(meant)}, not of ${quoted(value)}`, TAG);
  }
}

/** The noisy tag of the task and what it is a known variant of. */
function settledVariant(taxonomy: unknown, prompt: string): [string, string] | undefined {
  const variants = member(taxonomy, "variants");
  if (variants === null || typeof variants !== "object" || Array.isArray(variants)) return undefined;
  // In the order of their names, as the program reads objects.
  const pairs = Object.entries(variants as Record<string, unknown>)
    .filter((pair): pair is [string, string] => typeof pair[1] === "string")
    .sort(([one], [other]) => byBytes(one, other))
    .map(([variant, meant]) => ({ variant, meant, words: words(variant) }));
  const named = member(taxonomy, "noisy_tag");
  const noisy = (typeof named === "string" ? [named] : quotations(prompt)).map(words).filter((all) => all.length > 0);
  if (noisy.length > 0) {
    const found = pairs.find((pair) => noisy.some((one) => sameWords(pair.words, one)));
    return found && [found.variant, found.meant];
  }
  const within = words(prompt);
  let best: (typeof pairs)[number] | undefined;
  for (const pair of pairs) {
    // The last of the longest ones.
    if (holds(within, pair.words) && (!best || bytes(pair.variant) >= bytes(best.variant))) best = pair;
  }
  return best && [best.variant, best.meant];
}

/** What stands in quotation marks or backticks. */
function quotations(text: string): string[] {
  const found: string[] = [];
  for (const [open, close] of [['"', '"'], ["“", "”"], ["`", "`"], ["«", "»"]]) {
    let rest = text;
    for (;;) {
      const begins = rest.indexOf(open);
      if (begins < 0) break;
      const after = rest.slice(begins + open.length);
      const ends = after.indexOf(close);
      if (ends < 0) break;
      found.push(after.slice(0, ends));
      rest = after.slice(ends + close.length);
    }
  }
  return found;
}

function sameWords(one: Word[], other: Word[]): boolean {
  return one.length === other.length && one.every((word, at) => word.text === other[at].text);
}

function holds(text: Word[], phrase: Word[]): boolean {
  if (phrase.length === 0) return false;
  return text.some((_, start) => start + phrase.length <= text.length && phrase.every((word, at) => text[start + at].text === word.text));
}

/** Why a tag is not snake_case, and where. */
function wrongForm(tag: string): { why: string; place: string } | undefined {
  const at = (index: number) => characters(index + 1, index + 1);
  if (tag === "") return { why: "it is empty", place: TAG };
  const all = [...tag];
  if (all.length > MAX_TAG_CHARACTERS) {
    const why = `it has ${all.length} characters, but at most ${MAX_TAG_CHARACTERS} are allowed`;
    return { why, place: characters(MAX_TAG_CHARACTERS + 1, all.length) };
  }
  const index = all.findIndex((character) => !/^[a-z0-9_]$/.test(character));
  if (index >= 0) {
    const character = all[index];
    const shown = quotedCharacter(character);
    if (/^[A-Z]$/.test(character)) return { why: `${shown} is a capital letter`, place: at(index) };
    if (/^\p{Alphabetic}$/u.test(character)) {
      return { why: `${shown} is not one of the letters a-z, though it may look like one`, place: at(index) };
    }
    return { why: `${shown} may not stand in a tag`, place: at(index) };
  }
  if (tag.startsWith("_")) return { why: "it begins with an underscore", place: at(0) };
  if (tag.endsWith("_")) return { why: "it ends with an underscore", place: at(all.length - 1) };
  const double = tag.indexOf("__");
  if (double >= 0) return { why: "two underscores stand together", place: characters(double + 1, double + 2) };
  return /[a-z]/.test(tag) ? undefined : { why: "it has no letter", place: TAG };
}

function characters(first: number, last: number): string {
  return `${TAG} characters ${first} to ${last}`;
}

function member(value: unknown, name: string): unknown {
  const isObject = value !== null && typeof value === "object" && !Array.isArray(value);
  return isObject && Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === "string") : [];
}

const encoder = new TextEncoder();

function bytes(text: string): number {
  return encoder.encode(text).length;
}

function byBytes(one: string, other: string): number {
  const [a, b] = [encoder.encode(one), encoder.encode(other)];
  for (let at = 0; at < Math.min(a.length, b.length); at++) if (a[at] !== b[at]) return a[at] - b[at];
  return a.length - b.length;
}

/** Whether a value keeps the limits; walks no further than they reach, and without recursion. */
function fits(value: unknown, most: { values: number; bytes: number }): boolean {
  let [nValues, nBytes] = [0, 0];
  const open: [unknown, number][] = [[value, 0]];
  for (let next = open.pop(); next; next = open.pop()) {
    const [one, depth] = next;
    nValues += 1;
    if (typeof one === "string") {
      nBytes += bytes(one);
    } else if (Array.isArray(one)) {
      if (nValues + open.length + one.length > most.values) return false;
      for (const item of one) open.push([item, depth + 1]);
    } else if (one !== null && typeof one === "object") {
      const members = Object.entries(one);
      if (nValues + open.length + members.length > most.values) return false;
      for (const [name, inner] of members) {
        nBytes += bytes(name);
        open.push([inner, depth + 1]);
      }
    }
    if (nValues > most.values || nBytes > most.bytes || depth > MAX_DEPTH) return false;
  }
  return true;
}

/** The place of the member that holds most, for a candidate that is too large. */
function largest(value: unknown): string {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return "";
  const each = Math.floor(MAX_CANDIDATE.bytes / MAX_CANDIDATE.values);
  const size = (inner: unknown): number => {
    if (typeof inner === "string") return bytes(inner);
    return inner !== null && typeof inner === "object" ? Object.keys(inner).length * each : 0;
  };
  let best: [string, number] | undefined;
  for (const [name, inner] of Object.entries(value).sort(([one], [other]) => byBytes(one, other))) {
    if (!best || size(inner) >= best[1]) best = [name, size(inner)];
  }
  return best ? `/${best[0].replaceAll("~", "~0").replaceAll("/", "~1")}` : "";
}

/** The longest beginning of at most so many bytes that ends on a character boundary. */
function front(text: string, most: number): string {
  let [kept, n] = ["", 0];
  for (const character of text) {
    n += bytes(character);
    if (n > most) break;
    kept += character;
  }
  return kept;
}

/** A text for a message: quoted, control characters escaped, at most 60 characters. */
function quoted(text: string): string {
  const all = [...text];
  const short = all.slice(0, 60);
  if (all.length > short.length) short.push("…");
  return `"${short.map((character) => (character === '"' ? '\\"' : escaped(character))).join("")}"`;
}

function quotedCharacter(character: string): string {
  return `'${character === "'" ? "\\'" : escaped(character)}'`;
}

function escaped(character: string): string {
  const short: Record<string, string> = { "\0": "\\0", "\t": "\\t", "\r": "\\r", "\n": "\\n", "\\": "\\\\" };
  if (short[character]) return short[character];
  const isUnseen = character !== " " && /^[\p{C}\p{Z}\p{Grapheme_Extend}]$/u.test(character);
  return isUnseen ? `\\u{${character.codePointAt(0)!.toString(16)}}` : character;
}
