// Files that were fetched beforehand, so that they can be shown with the network gone.

const fetched = new Map(); // address → address in this browser

// Where a file is: here, if it was fetched, else where it was.
export const localAddress = (address) => fetched.get(address) ?? address;

export async function fetchAhead(address) {
  if (fetched.has(address)) return;
  const answer = await fetch(address);
  if (answer.ok) fetched.set(address, URL.createObjectURL(await answer.blob()));
}
