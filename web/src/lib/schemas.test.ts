import { expect, test } from "vitest";
import { changedPiece, diffLines, folded, laidOut, tokens } from "./schemas";

const told = (before: string, after: string) => diffLines(before, after).map((row) => (row.same ? `=${row.left!.text}` : `${row.left ? `-${row.left.text}` : ""}${row.right ? `+${row.right.text}` : ""}`));

test("a diff tells what went, what came and what stayed", () => {
  expect(told("a\nb\nc", "a\nx\nc\nd")).toEqual(["=a", "-b+x", "=c", "+d"]);
  expect(told("same", "same")).toEqual(["=same"]);
  expect(told("a\nb\nc\nd", "b\nd")).toEqual(["-a", "=b", "-c", "=d"]);
});

test("applying a diff gives the other text, for all of many", () => {
  let seed = 7;
  const next = (most: number) => (seed = (seed * 1103515245 + 12345) % 2147483648) % most;
  for (let round = 0; round < 300; round++) {
    const text = () => Array.from({ length: next(14) }, () => "abcd"[next(4)]!).join("\n");
    const before = text(), after = text(), rows = diffLines(before, after);
    expect(rows.flatMap((r) => (r.left ? [r.left.text] : [])).join("\n")).toBe(before);
    expect(rows.flatMap((r) => (r.right ? [r.right.text] : [])).join("\n")).toBe(after);
  }
});

test("texts too long to compare line by line differ as one piece", () => {
  const long = (word: string) => Array.from({ length: 2100 }, (_, n) => `${word}${n}`).join("\n");
  const rows = diffLines(`{\n${long("a")}\n}`, `{\n${long("b")}\n}`);
  expect(rows.length).toBe(2102);
  expect(rows.filter((r) => r.same).length).toBe(2);
});

test("equal lines far from a change are folded", () => {
  const lines = Array.from({ length: 30 }, (_, n) => String(n));
  const stretches = folded(diffLines(lines.join("\n"), lines.map((l) => (l === "15" ? "x" : l)).join("\n")));
  expect(stretches.map((s) => ("folded" in s ? -s.folded : s.rows.length))).toEqual([-12, 7, -11]);
  expect(folded(diffLines("a\nb", "a\nb"))).toEqual([{ rows: diffLines("a\nb", "a\nb"), from: 0 }]);
});

test("the piece of a line that differs is found", () => {
  expect(changedPiece('"type": "int"', '"type": "long"')).toEqual([9, 12, 13]);
  expect(changedPiece("abc", "abc")).toEqual([3, 3, 3]);
  expect(changedPiece("aa", "aaa")).toEqual([2, 2, 3]);
});

test("schemas are laid out and coloured without losing a character", () => {
  const text = laidOut("AVRO", '{"name":"a","default":-1.5e3,"ok":true,"doc":"say \\"hi\\": no"}');
  const lines = text.split("\n");
  for (const line of lines) expect(tokens("AVRO", line).map(([, piece]) => piece).join("")).toBe(line);
  expect(tokens("AVRO", lines[1]!).filter(([kind]) => kind)).toEqual([["key", '"name"'], ["string", '"a"']]);
  expect(tokens("AVRO", lines[2]!).at(-2)).toEqual(["number", "-1.5e3"]);
  expect(tokens("PROTOBUF", "  repeated string tags = 4; // old").filter(([kind]) => kind)).toEqual([["word", "repeated"], ["word", "string"], ["number", "4"], ["comment", "// old"]]);
});
