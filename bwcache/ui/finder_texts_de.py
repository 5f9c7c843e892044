"""German for `finder_texts.py`, name by name and key by key."""

TITLE = "Meine Schwelle finden"
INTRO = (
    "Erzeugt das Video zum Prompt einmal ohne Cache, sagt voraus, was jede Einstellung bewirken "
    "würde, und probiert so wenige wie nötig, um die gewünschte zu finden. Prompt, Modell, "
    "Schritte, Seed, Methode und Gate sind die des Formulars."
)
KIND = "Gesucht ist"
KINDS = (
    ("so schnell wie möglich, solange es so nah bleibt (PSNR)", "psnr"),
    ("so viel schneller, so treu wie möglich", "speedup"),
)
VALUES = {"psnr": (35, "PSNR mindestens (dB)"), "speedup": (2, "Mindestens so viel schneller (×)")}
FIND = "Suchen"
STOP = "Suche anhalten"
STOPPED = "Angehalten. „Suchen“ beginnt von vorn; ein vollständiger Lauf ohne Cache bleibt gemerkt."
WAITING = "Warten, bis das Modell frei ist …"
FAILED = "Bei der Suche ist etwas schiefgegangen. Was, steht im Protokoll des Servers."

FINDER = {
    "title": TITLE,
    "preparing": "Das Modell wird vorbereitet …",
    "uncached": "Das Video ohne Cache entsteht: Schritt {i} von {n}",
    "trial": "Versuch {i} von höchstens {most}: Schwelle {threshold}, Intervall {interval}",
    "left": "höchstens noch etwa {s} s",
    "progress": "Fortschritt der Suche",
    "chart": "Tempo gegen Treue",
    "chart_note": "jeder Punkt ist ein Versuch; oben rechts ist besser",
    "chart_label": "{n} Versuche, Tempo gegen PSNR; die Zahlen stehen in der Tabelle darunter",
    "speedup": "Beschleunigung",
    "psnr": "PSNR (dB)",
    "ssim": "SSIM",
    "goal_psnr": "Ziel: {v} dB",
    "goal_speedup": "Ziel: {v}×",
    "identical": "identisch",
    "meets": "erreicht das Ziel",
    "misses": "verfehlt das Ziel",
    "recommended": "empfohlen",
    "table": "Versuche",
    "column_trial": "Versuch",
    "column_threshold": "Schwelle",
    "column_interval": "Intervall R",
    "column_steps": "Gerechnet",
    "column_goal": "Ziel",
    "yes": "✓ erreicht",
    "no": "– verfehlt",
    "steps": "{c} von {n}",
    "look": "Versuch {i} ansehen",
    "detail": "Versuch {i}: Schwelle {threshold}, Intervall {interval}",
    "numbers": "{x}× so schnell · {psnr} · SSIM {ssim} · {c} von {n} Schritten gerechnet",
    "strip_uncached": "Ohne Cache",
    "strip_cached": "BWCache",
    "strip_alt": "{run}: sechs Bilder des Videos",
    "detail_idle": "Auf einen Versuch zeigen, um sein Video zu sehen",
    "choice": "Einstellungen zur Wahl, jede mit eigenem Ablauf: {c}. Ausgelassen, weil sie "
    "dasselbe täten wie eine davon oder nichts wiederverwendeten: {saved}.",
    "remembered": "Der Lauf ohne Cache war gemerkt.",
    "use": "Diese Einstellung übernehmen",
    "used": "Sie steht jetzt im Formular: „Erzeugen“ drücken.",
    "caveat": "Sekunden schwanken ein wenig von Lauf zu Lauf, PSNR nicht.",
}
