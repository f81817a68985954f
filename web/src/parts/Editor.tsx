// The SQL editor: CodeMirror in our own skin, completing the project's tables and columns.
import { autocompletion, closeBrackets, completionKeymap, type CompletionSource } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { StreamLanguage } from "@codemirror/language";
import { EditorState } from "@codemirror/state";
import { EditorView, keymap, placeholder } from "@codemirror/view";
import { useEffect, useRef } from "react";
import type { Schema } from "../lib/api";
import { choices } from "../lib/complete";
import { lexer, type Lexing } from "../lib/lexer";
import { colors, skin } from "./editorSkin";

const language = StreamLanguage.define<Lexing>(lexer);

/** Completes from whatever schema is known when it is asked. */
const completing = (schema: { current: Schema | undefined }): CompletionSource => (context) => {
  const word = context.matchBefore(/\w*/);
  if (!schema.current || !word || (word.from === word.to && !context.explicit && context.matchBefore(/\w\./) === null)) return null;
  const inText = context.state.sliceDoc(0, context.pos).split("'").length % 2 === 0;
  if (inText) return null;
  return { from: word.from, options: choices(context.state.sliceDoc(0, context.pos), context.state.doc.toString(), schema.current), validFor: /^\w*$/ };
};

export default function Editor({ value, onChange, onRun, schema }: { value: string; onChange: (text: string) => void; onRun: () => void; schema?: Schema }) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(undefined);
  const run = useRef(onRun);
  run.current = onRun;
  const change = useRef(onChange);
  change.current = onChange;
  const known = useRef(schema);
  known.current = schema;

  useEffect(() => {
    if (!host.current) return;
    const editor = new EditorView({
      parent: host.current,
      state: EditorState.create({
        doc: value,
        extensions: [
          // Tab leaves the editor, as keyboard users expect; completion is on Ctrl-Space and while typing.
          keymap.of([{ key: "Mod-Enter", run: () => { run.current(); return true; } }, ...completionKeymap, ...defaultKeymap.filter((k) => k.key !== "Mod-Enter"), ...historyKeymap]),
          history(), closeBrackets(), autocompletion({ override: [completing(known)], icons: false, activateOnTypingDelay: 0, maxRenderedOptions: 40 }), language, skin, colors, EditorView.lineWrapping,
          placeholder("SELECT * FROM logs ORDER BY timestamp DESC LIMIT 100"),
          EditorView.contentAttributes.of({ "aria-label": "SQL", "data-search": "" }),
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
  return <div ref={host} className="editor" />;
}
