// Reads cases from standard input, each a table's rows and what is asked of it; prints what is
// found. For test_browser_code.py.
import { readFileSync } from "node:fs";

import { createScheduleTable } from "../../bwcache/ui/static/steps/schedule_table.js";

const found = JSON.parse(readFileSync(0, "utf8")).map(({ rows: [first, ...parts], asked }) => {
  const table = createScheduleTable(first);
  parts.forEach(table.add);
  return asked.map((settings) => {
    const { letters, seconds, exact } = table.lookup(settings);
    return { letters: letters.join(""), seconds, exact };
  });
});
process.stdout.write(JSON.stringify(found));
