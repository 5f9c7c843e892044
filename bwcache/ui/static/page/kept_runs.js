// A visit's finished runs, kept in this tab so that a reload loses none of them.

const KEY = "bwcache-runs";

// `storage`: the tab's own, or something like it.
export function createKeptRuns(storage) {
  // Those of before the reload: [{id, rows}], the newest first.
  function load() {
    try {
      const kept = JSON.parse(storage.getItem(KEY) ?? "[]");
      return Array.isArray(kept) ? kept.filter(({ id, rows }) => id && rows?.length) : [];
    } catch { // blocked, or written by something else
      return [];
    }
  }

  // A tab may keep a few megabytes: the oldest runs give way.
  function save(runs) {
    for (let count = runs.length; count >= 0; count -= 1) {
      try {
        storage.setItem(KEY, JSON.stringify(runs.slice(0, count)));
        return;
      } catch (error) {
        if (error.name !== "QuotaExceededError") return; // blocked: nothing can be kept
      }
    }
  }

  return { load, save };
}

// The tab's storage; one that forgets where the browser allows none.
export function tabStorage() {
  try {
    return sessionStorage;
  } catch {
    return { getItem: () => null, setItem() {} };
  }
}
