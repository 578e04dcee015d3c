import assert from "node:assert/strict";
import test from "node:test";

import {
  safeName,
  toCsv,
  toLatex,
  toMarkdown,
} from "../../../transfusion_tf/tensorboard/frontend/export.js";

test("CSV is that of RFC 4180", () => {
  assert.equal(
    toCsv(["a", "b"], [
      ['say "x"', 1.5],
      ["x, y", null],
      ["two\nlines", NaN],
    ]),
    'a,b\r\n"say ""x""",1.5\r\n"x, y",\r\n"two\nlines",\r\n',
  );
});

test("text that a spreadsheet would run is quoted, numbers are not", () => {
  const rows = ["=1+1", "+1", "-1", "@x", "\tx", "\rx"].map((x) => [x]);
  assert.equal(
    toCsv(["=c"], [...rows, [-1], ["a=1"]]),
    "'=c\r\n'=1+1\r\n'+1\r\n'-1\r\n'@x\r\n'\tx\r\n\"'\rx\"\r\n-1\r\na=1\r\n",
  );
});

test("CSV keeps numbers as they are", () => {
  assert.equal(toCsv(["x"], [[0.1 + 0.2], [1e-9]]), "x\r\n0.30000000000000004\r\n1e-9\r\n");
});

test("Markdown aligns numbers and keeps text verbatim", () => {
  assert.equal(
    toMarkdown(["run", "AUC"], [["a|b_<i>\nc", 0.8416], ["x", null]]),
    "| run | AUC |\n| --- | ---: |\n" +
      "| a\\|b\\_\\<i\\> c | 0.842 |\n| x | – |\n",
  );
});

test("LaTeX escapes what would be a command", () => {
  assert.equal(
    toLatex(["a", "b"], [["50 % & $x_1$ \\y {~^#}", -0.5], ["<", null]]),
    "\\begin{tabular}{lr}\n\\toprule\na & b \\\\\n\\midrule\n" +
      "50 \\% \\& \\$x\\_1\\$ \\textbackslash{}y " +
      "\\{\\textasciitilde{}\\textasciicircum{}\\#\\} & $-$0.500 \\\\\n" +
      "\\textless{} & -- \\\\\n\\bottomrule\n\\end{tabular}\n",
  );
});

test("file names hold nothing that a file system refuses", () => {
  assert.equal(safeName("run <b>/../x.csv"), "run_b_.._x.csv");
  assert.equal(safeName("../../etc"), "etc");
  assert.equal(safeName("/"), "file");
});
