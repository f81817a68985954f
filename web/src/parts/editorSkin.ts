// The skin of every editor: CodeMirror in our own colours.
import { HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { EditorView } from "@codemirror/view";
import { tags } from "@lezer/highlight";

export const skin = EditorView.theme({
  "&": { background: "var(--raised)", color: "var(--text)", fontSize: "13px", height: "100%" },
  ".cm-content": { fontFamily: "var(--font-data)", caretColor: "var(--text)", padding: "10px 4px" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  "&.cm-focused": { outline: "none" },
  "&.cm-focused .cm-selectionBackground, .cm-selectionBackground": { background: "var(--accent-ground) !important" },
  ".cm-tooltip": { background: "var(--raised)", border: "1px solid var(--line)", color: "var(--text)" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { background: "var(--accent-ground)", color: "var(--text)" },
  ".cm-tooltip-autocomplete > ul": { fontFamily: "var(--font-data)", maxHeight: "260px" },
  ".cm-tooltip-autocomplete > ul > li": { padding: "2px 8px", display: "flex", gap: "16px" },
  ".cm-completionLabel": { flex: "1" },
  ".cm-completionMatchedText": { textDecoration: "none", color: "var(--accent)", fontWeight: "600" },
  ".cm-completionDetail": { fontStyle: "normal", color: "var(--text-soft)" },
  ".cm-placeholder": { color: "var(--text-soft)" },
});
export const colors = syntaxHighlighting(HighlightStyle.define([
  { tag: tags.keyword, color: "var(--accent)" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--ok)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--info)" },
  { tag: tags.propertyName, color: "var(--text)", fontWeight: "560" },
  { tag: tags.comment, color: "var(--text-soft)" },
]));
