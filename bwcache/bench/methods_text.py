"""The leaderboard as the README shows it. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

CONVERGED_STEPS = 120


def on_the_same_work(found: Mapping[str, Any], where: str) -> str:
    """Tables of who is how close at equal work, and how far ours is ahead or behind.

    Args:
        found: As `methods_results.leaderboard` gives it.
        where: The path of the file.
    """
    parts = [_grid(found, where), _bounds(found), _leads(found["standings"])]
    return "\n".join(filter(None, parts))


def _bounds(found: Mapping[str, Any]) -> str:
    """What closeness can mean here, and whether two devices say the same."""
    lines = []
    first = found["standings_of_all"][0]
    bounds = {
        (row["steps"], row["shift"]): row
        for row in found["rows"]
        if row["family"] == "uncached" and row.get("converged_psnr_db") is not None
    }
    if (itself := bounds.pop((first["steps"], first["shift"]), None)) is not None:
        others = "; ".join(
            f"{_grid_name(row)}: {row['converged_psnr_db']:.1f} "
            f"({row['converged_psnr_db_worst']:.1f})"
            for row in bounds.values()
        )
        lines.append(
            f"The uncached run itself is {itself['converged_psnr_db']:.1f} dB (worst prompt "
            f"{itself['converged_psnr_db_worst']:.1f}) from the converged one, "
            f"{CONVERGED_STEPS} steps of the same noise: that bounds what closeness can mean."
            + (f" With other steps and flow shifts: {others}." if others else "")
        )
    if agreement := found.get("agreement"):
        lines.append(
            f"Of these runs {agreement['runs']} were made on two devices "
            f"({' and '.join(f'`{name}`' for name in agreement['devices'])}): "
            f"{agreement['same_steps']} computed the same steps, and their PSNR differs by "
            f"{agreement['psnr_db_median']:.2f} dB (median; at most "
            f"{agreement['psnr_db_most']:.2f})."
        )
    return "".join(f"{line}\n" for line in lines)


def _grid(found: Mapping[str, Any], where: str) -> str:
    first = found["standings_of_all"][0]
    here = [
        each
        for each in found["standings_of_all"]
        if (each["steps"], each["shift"]) == (first["steps"], first["shift"])
    ]
    prompts = first["families"][0]["prompts"]
    shares = [each["share"] for each in here]
    by_family: dict[str, dict[float, Mapping[str, Any]]] = {}
    for each in here:
        for one in each["families"]:
            by_family.setdefault(one["family"], {})[each["share"]] = one
    order = sorted(by_family, key=lambda name: (-len(by_family[name]), -_best(by_family[name])))
    head = " | ".join(f"{share:.0%} of the work" for share in shares)
    lines = [f"| PSNR, mean / worst prompt, dB | {head} |", "|---" * (len(shares) + 1) + "|"]
    for name in order:
        cells = [_cell(by_family[name].get(share)) for share in shares]
        lines.append(f"| {_title(by_family[name])} | {' | '.join(cells)} |")
    return (
        f"TinyWorld, {first['steps']} steps, {prompts} prompts that chose nothing "
        f"([all rows]({where}): date, commit and device in each). “–”: no setting of the method "
        "gets there on every prompt.\n\n" + "\n".join(lines) + "\n"
    )


def _best(of_shares: Mapping[float, Mapping[str, Any]]) -> float:
    return sum(one["psnr_db"] for one in of_shares.values()) / len(of_shares)


def _title(of_shares: Mapping[float, Mapping[str, Any]]) -> str:
    one = next(iter(of_shares.values()))
    return f"**{one['title']}**" if one["ours"] else one["title"]


def _cell(one: Mapping[str, Any] | None) -> str:
    return "–" if one is None else f"{one['psnr_db']:.1f} / {one['psnr_db_worst']:.1f}"


def _grid_name(of: Mapping[str, Any]) -> str:
    return f"{of['steps']}, {'own' if of['shift'] is None else format(of['shift'], 'g')}"


def _leads(standings: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        "How far the best of BWCache+ is ahead of the best of all others, uncached runs included, "
        "and of the best other cache, of those that were run on all prompts of the row; mean, "
        "mean of the four worst prompts of each, and worst prompt, negative where it is behind:",
        "",
        "| steps, flow shift | prompts | work | ahead of all | of the other caches | its worst |",
        "|---|---|---|---|---|---|",
    ]
    for each in standings:
        families = each["families"]
        caches = [one for one in families if not one["family"].startswith("uncached/")]
        all_of_it, among = leads(families), leads(caches)
        if all_of_it is None or among is None:
            continue
        worst = max(one["psnr_db_worst"] for one in families if one["ours"])
        lines.append(
            f"| {_grid_name(each)} | {families[0]['prompts']} | {each['share']:.0%} | "
            f"{' / '.join(f'{lead:+.1f}' for lead in all_of_it)} dB | "
            f"{' / '.join(f'{lead:+.1f}' for lead in among)} dB | {worst:.1f} dB |"
        )
    return "\n".join(lines) + "\n"


def leads(families: Sequence[Mapping[str, Any]]) -> tuple[float, float, float] | None:
    """How far ours is ahead: mean, four worst prompts, worst; None where one side is missing."""
    ours = [one for one in families if one["ours"]]
    others = [one for one in families if not one["ours"]]
    if not ours or not others:
        return None

    def lead(name: str) -> float:
        return max(one[name] for one in ours) - max(one[name] for one in others)

    return lead("psnr_db"), lead("psnr_db_four_worst"), lead("psnr_db_worst")
