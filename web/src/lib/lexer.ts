// The colours of SQL in the editor: what this server reads, not all of PostgreSQL, so that words in colour are words that work.
import type { StreamParser } from "@codemirror/language";
import { keywords } from "./complete";

/** What is open at the end of a line: a comment of several lines (how deep) or a text in quotes. */
export interface Lexing { comments: number; text: boolean }

const words = new Set(keywords.map((word) => word.toLowerCase()));
const types = new Set("bigint boolean date double float int integer interval text timestamp varchar".split(" "));
const constants: Record<string, string> = { true: "bool", false: "bool", null: "null" };

export const lexer: StreamParser<Lexing> = {
  startState: () => ({ comments: 0, text: false }),
  copyState: (state) => ({ ...state }),
  token(stream, state) {
    if (state.comments > 0) {
      if (stream.match("/*")) state.comments++;
      else if (stream.match("*/")) state.comments--;
      else stream.next();
      return "comment";
    }
    if (state.text) return text(stream, state);
    if (stream.eatSpace()) return null;
    if (stream.match("--")) { stream.skipToEnd(); return "comment"; }
    if (stream.match("/*")) { state.comments = 1; return "comment"; }
    if (stream.eat("'")) { state.text = true; return text(stream, state); }
    if (stream.match(/^"(?:[^"]|"")*"?/)) return "variableName";
    if (stream.match(/^(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?/i)) return "number";
    const word = stream.match(/^[\p{L}_][\p{L}\p{N}_]*/u) as RegExpMatchArray | null;
    if (word) {
      const name = word[0].toLowerCase();
      return constants[name] ?? (words.has(name) ? "keyword" : types.has(name) ? "typeName" : "variableName");
    }
    stream.next();
    return "operator";
  },
  languageData: { closeBrackets: { brackets: ["(", "[", "'", '"'] }, commentTokens: { line: "--", block: { open: "/*", close: "*/" } } },
};

/** To the end of the text or of the line; two quotes stand for one. */
function text(stream: Parameters<typeof lexer.token>[0], state: Lexing): string {
  stream.match(/^(?:[^']|'')*/);
  if (stream.eat("'")) state.text = false;
  return "string";
}
