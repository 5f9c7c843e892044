// A recorded run as it lies on the server: its run.json, fetched and checked.

import { fill } from "../lib/texts.js";

const FORMAT = "bwcache-recorded-run";
const VERSION = 1;

// The run.json of an entry of the index. Throws an error whose message is for the visitor.
export async function fetchRun(url, texts) {
  let answer;
  try {
    answer = await fetch(url);
  } catch {
    throw new Error(texts.run_unreachable);
  }
  if (!answer.ok) throw new Error(fill(texts.run_refused, { status: answer.status }));
  let data;
  try {
    data = await answer.json();
  } catch {
    throw new Error(texts.run_no_json);
  }
  return checked(data, texts);
}

export function checked(data, texts) {
  if (data?.format !== FORMAT || data.version !== VERSION) {
    throw new Error(fill(texts.run_foreign, { format: data?.format, version: data?.version }));
  }
  const { rows, files } = data;
  const kind = (place) => Array.isArray(rows) && rows.at(place)?.row?.k;
  if (kind(0) !== "begin" || kind(-1) !== "done" || !files) throw new Error(texts.run_incomplete);
  return data;
}

// The rows with the addresses of their files in `folder`, and with the verdict's `words`.
export function withAddresses({ rows, files }, folder, words) {
  const urls = Object.fromEntries(
    Object.entries(files).map(([name, file]) => [name, folder + encodeURIComponent(file)]),
  );
  const placed = (row) => {
    if (row.k === "share") return { ...row, url: urls.share };
    if (row.k === "video") return { ...row, url: urls[row.run] };
    return row.k === "done" ? { ...row, ...words, files: urls } : row;
  };
  return rows.map(({ at, row }) => ({ at, row: placed(row) }));
}
