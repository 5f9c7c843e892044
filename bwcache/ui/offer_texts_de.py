"""German for `offer_texts.py`: the same names and keys, the same `{placeholders}`."""

NOT_MEASURED_YET = (
    "**Noch nicht gemessen:** Für dieses Modell gibt es keine Voreinstellungen. Bei der Schwelle 0 "
    "wird im ersten Lauf nur gemessen; danach schlägt diese Zeile eine Schwelle vor."
)
SUGGESTED = (
    "**Vorschlag aus diesem Lauf:** Schwelle {threshold:.4g} mit R = {interval}; damit werden "
    "{reused} von {steps} Schritten wiederverwendet, in etwa {seconds:.1f} s statt {whole:.1f} s. "
    "*Geschätzt; wie nah das Video bleibt, zeigt erst der Lauf selbst.*"
)
NOTHING_TO_SUGGEST = (
    "**Keine Schwelle würde in einem solchen Lauf einen Schritt wiederverwenden.** "
    "Nimm mehr Schritte."
)

OFFLOADS = {
    "model": "Passt nicht auf einmal auf die GPU: Seine Teile wechseln sich dort ab (langsamer).",
    "sequential": "Auch die Teile passen nicht darauf: Schicht um Schicht (viel langsamer).",
}
DOWNLOAD = "Der erste Lauf lädt etwa {size:.0f} GB herunter."
TAKES = "Ein Vergleich dauert hier etwa {seconds:.0f} s (geschätzt nach dem letzten)."
GUESSED = "Seiner Größe nach dauert ein Vergleich vielleicht {minutes:.0f} min (grob geschätzt)."
NOT_MEASURED = "Noch nicht gemessen: Es misst zuerst und schlägt dann eine Schwelle vor."
LICENCE = "Lizenz: {name}."
NOT_HERE = "{count} weitere Modelle laufen auf diesem Rechner nicht"
COST = (
    "**Kosten:** fragt bis zu {seconds} s GPU an; das zählt als {quota} s von {daily} s am Tag"
    "{kind}."
)
COST_KINDS = {
    "anonymous": " für Besucher ohne Anmeldung",
    "signed in": " für ein kostenloses Konto",
    "free": " für dein kostenloses Konto",
    "pro": " für dein PRO-Konto",
}
COST_ESTIMATED = " *Grob geschätzt: Dieses Modell wurde hier noch nicht gemessen.*"
COST_SHORT = (
    " **Das könnte nicht reichen:** Es braucht voraussichtlich {needed} s. Nimm weniger Schritte "
    "oder ein kleineres Modell; die aufgezeichneten Läufe brauchen keine GPU."
)
