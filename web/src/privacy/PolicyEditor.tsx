// The policy's source in an editor: what is wrong stands under its line, with what to write.
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { StreamLanguage } from "@codemirror/language";
import { EditorState, StateEffect, StateField, type Text } from "@codemirror/state";
import { Decoration, EditorView, keymap, lineNumbers, WidgetType, type DecorationSet } from "@codemirror/view";
import { useEffect, useRef } from "react";
import { isHere, type Mark } from "../lib/policy";
import { toml, type TomlLexing } from "../lib/toml";
import { colors, skin } from "../parts/editorSkin";

const language = StreamLanguage.define<TomlLexing>(toml);
const words = { fault: "fault", error: "refused", warning: "warning" };

/** What is said of a line, below it. */
class Said extends WidgetType {
  constructor(private readonly mark: Mark) { super(); }
  eq(other: Said) { return JSON.stringify(other.mark) === JSON.stringify(this.mark); }
  toDOM() {
    const { severity, why, write, key } = this.mark;
    const line = document.createElement("div");
    line.className = `cm-said cm-said-${severity}`;
    const name = document.createElement("strong");
    name.textContent = words[severity];
    line.append(name, ` ${key ? `${key}: ` : ""}${why}`, write ? `; ${write}` : "");
    return line;
  }
}

const setMarks = StateEffect.define<Mark[]>();
const said = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(drawn, change) {
    for (const effect of change.effects) if (effect.is(setMarks)) return drawnOf(effect.value, change.state.doc);
    return drawn.map(change.changes);
  },
  provide: (field) => EditorView.decorations.from(field),
});

function drawnOf(marks: Mark[], doc: Text): DecorationSet {
  const ranges = marks.filter((mark) => isHere(mark) && mark.line >= 1 && mark.line <= doc.lines).flatMap((mark) => {
    const line = doc.line(mark.line);
    return [
      Decoration.line({ class: `cm-marked cm-marked-${mark.severity}` }).range(line.from),
      Decoration.widget({ widget: new Said(mark), block: true, side: 1 }).range(line.to),
    ];
  });
  return Decoration.set(ranges, true);
}

interface Props { value: string; onChange: (text: string) => void; onApply: () => void; marks: Mark[]; at: { line: number } }

export default function PolicyEditor({ value, onChange, onApply, marks, at }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(undefined);
  const apply = useRef(onApply), change = useRef(onChange);
  apply.current = onApply;
  change.current = onChange;

  useEffect(() => {
    if (!host.current) return;
    const editor = new EditorView({
      parent: host.current,
      state: EditorState.create({
        doc: value,
        extensions: [
          // Tab leaves the editor, as keyboard users expect.
          keymap.of([{ key: "Mod-Enter", run: () => { apply.current(); return true; } }, ...defaultKeymap.filter((k) => k.key !== "Mod-Enter"), ...historyKeymap]),
          history(), lineNumbers(), language, skin, colors, said, EditorView.lineWrapping,
          EditorView.contentAttributes.of({ "aria-label": "Policy", "data-search": "", spellcheck: "false" }),
          EditorView.updateListener.of((update) => { if (update.docChanged) change.current(update.state.doc.toString()); }),
        ],
      }),
    });
    view.current = editor;
    return () => editor.destroy();
  }, []);
  useEffect(() => {
    const editor = view.current;
    if (editor && value !== editor.state.doc.toString()) editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } });
  }, [value]);
  useEffect(() => view.current?.dispatch({ effects: setMarks.of(marks) }), [marks]);
  // The line that the address names.
  useEffect(() => {
    const editor = view.current;
    if (!editor || !(at.line >= 1 && at.line <= editor.state.doc.lines)) return;
    const { from } = editor.state.doc.line(at.line);
    editor.dispatch({ selection: { anchor: from }, effects: EditorView.scrollIntoView(from, { y: "center" }) });
    editor.focus();
  }, [at]);
  return <div ref={host} className="editor policy-editor" />;
}
