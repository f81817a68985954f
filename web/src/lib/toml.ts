// The colours of TOML in the editor, as a policy is written.

/** A line that is read from left to right: what the lexer needs of CodeMirror's stream. */
export interface LineStream {
  sol(): boolean; eol(): boolean; eatSpace(): boolean; eat(what: string): string | void; next(): string | void; skipToEnd(): void; current(): string;
  match(what: string | RegExp, consume?: boolean): boolean | RegExpMatchArray | null;
}

/** What is open at the end of a line: a text of several lines, how many lists and tables, and whether a value comes next. */
export interface TomlLexing { text: "" | '"""' | "'''"; depth: number; value: boolean }

export const toml = {
  startState: (): TomlLexing => ({ text: "", depth: 0, value: false }),
  copyState: (state: TomlLexing): TomlLexing => ({ ...state }),
  token(stream: LineStream, state: TomlLexing): string | null {
    if (state.text) return longText(stream, state);
    // A key begins each line, but not within a list that goes on.
    if (stream.sol() && state.depth === 0) state.value = false;
    if (stream.eatSpace()) return null;
    if (stream.eat("#")) { stream.skipToEnd(); return "comment"; }
    if (!state.value && state.depth === 0 && stream.match(/^\[\[?[^\]#]*\]?\]?/)) return "keyword";
    for (const quotes of ['"""', "'''"] as const) if (stream.match(quotes)) { state.text = quotes; return longText(stream, state); }
    if (stream.match(/^"(?:[^"\\]|\\.)*"?/) || stream.match(/^'[^']*'?/)) return isKey(stream, state) ? "propertyName" : "string";
    if (stream.eat("=")) { state.value = true; return "operator"; }
    if (stream.match(/^[[{]/)) { state.depth++; return "bracket"; }
    if (stream.match(/^[\]}]/)) { state.depth = Math.max(0, state.depth - 1); return "bracket"; }
    if (stream.match(/^\d{4}-\d{2}-\d{2}(?:[T ][\d:.]+(?:Z|[+-][\d:]+)?)?/)) return "number";
    if (stream.match(/^[\w-]+/)) {
      if (isKey(stream, state)) return "propertyName";
      const word = stream.current();
      return word === "true" || word === "false" ? "bool" : /^[+-]?\d/.test(word) ? "number" : "variableName";
    }
    stream.next();
    return null;
  },
  languageData: { commentTokens: { line: "#" } },
};

/** True where an equals sign follows, at once or after further parts of a dotted key. */
const isKey = (stream: LineStream, state: TomlLexing) => (state.depth > 0 || !state.value) && stream.match(/^\s*(?:\.\s*(?:[\w-]+|"[^"]*"|'[^']*')\s*)*=/, false) !== null;

function longText(stream: LineStream, state: TomlLexing): string {
  while (!stream.eol()) {
    if (stream.match(state.text)) { state.text = ""; return "string"; }
    stream.next();
  }
  return "string";
}

/** A line without an editor around it. */
class Line implements LineStream {
  private start = 0;
  private pos = 0;
  constructor(private readonly text: string) {}
  begin() { this.start = this.pos; }
  sol() { return this.pos === 0; }
  eol() { return this.pos >= this.text.length; }
  eatSpace() { return this.match(/^\s+/) !== null; }
  eat(what: string) { return this.text[this.pos] === what ? this.text[this.pos++] : undefined; }
  next() { return this.text[this.pos++]; }
  skipToEnd() { this.pos = this.text.length; }
  current() { return this.text.slice(this.start, this.pos); }
  match(what: string | RegExp, consume = true) {
    const rest = this.text.slice(this.pos);
    if (typeof what === "string") {
      const fits = rest.startsWith(what);
      if (fits && consume) this.pos += what.length;
      return fits;
    }
    const found = rest.match(what);
    if (found && found.index !== 0) return null;
    if (found && consume) this.pos += found[0].length;
    return found;
  }
}

/** The lines of a text in pieces, each with its kind. */
export function tomlPieces(lines: string[]): [kind: string, piece: string][][] {
  const state = toml.startState();
  return lines.map((text) => {
    const line = new Line(text), out: [string, string][] = [];
    while (!line.eol()) {
      line.begin();
      out.push([toml.token(line, state) ?? "", line.current()]);
    }
    return out;
  });
}
