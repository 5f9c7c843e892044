"""German for `texts.py`: the same names and keys, the same `{placeholders}`.

`tests/ui/test_texts.py` fails while one is missing.
"""

from . import texts_de_more, views_texts_de

TITLE = "BWCache"
TAGLINE = (
    "Ein Videomodell lässt die Arbeit aus, die es nur wiederholen würde: dasselbe Video zweimal, "
    "einmal vollständig gerechnet und einmal mit gemerkten Blöcken."
)
CHIP = "{device} · {model}"
DEVICES = {"cpu": "CPU", "cuda": "CUDA-GPU"}

MODEL = "Modell"
PROMPT = "Prompt (auf Englisch)"
PROMPT_PLACEHOLDER = "Was soll das Video zeigen? Auf Englisch."
EXAMPLES = "Beispiele"
PRESET = "Voreinstellung"
PRESET_NAMES = (
    ("Vorsichtig", "Safe"),
    ("Ausgewogen", "Balanced"),
    ("Schnell", "Fast"),
    ("Paper", "Paper"),
)
THRESHOLD = "Schwelle"
THRESHOLD_INFO = (
    "Wiederverwendet wird nach dem ersten Schritt, der die Blöcke um weniger als das ändert."
)
ADVANCED = "Weitere Einstellungen"
STEPS = "Entrauschungsschritte"
SEED = "Seed"
INTERVAL = "Intervall R"
INTERVAL_INFO = (
    "Wiederverwendete Schritte nach einem gerechneten: eine ganze Zahl oder ein Anteil aller "
    "Schritte wie 0.1."
)
GATE = "Gate"
GATE_CHOICES = (("once: Muster beibehalten", "once"), ("recheck: neu prüfen", "recheck"))
REUSE = "Methode"
REUSE_INFO = (
    "Die Vorhersage folgt dem Trend der letzten gerechneten Schritte, statt einen zu wiederholen."
)
REUSE_CHOICES = (
    ("BWCache (Paper)", "residual"),
    ("BWCache + Vorhersage", "forecast"),
    ("BWCache (Blockausgabe)", "output"),
)
METHOD_NAMES = {value: name for name, value in REUSE_CHOICES}
CONTROL = "Kontrolle: auch ohne Cache mit nur so vielen Schritten, wie gerechnet wurden"
GENERATE = "Erzeugen"
STOP = "Anhalten"

COPY_LINK = "Link kopieren"
LINK = "Link zu diesen Einstellungen"
LINK_COPIED = "Link kopiert. Er stellt Modell, Prompt, Seed und Einstellungen wieder her."
LINK_BY_HAND = "Kopieren ist hier nicht erlaubt: Das ist der Link."
LINK_IGNORED = "Der Link enthält Angaben, die hier nicht gehen; sie bleiben unbeachtet: {names}."

RANGE = "Der Indikator dieses Modells wurde von {low:.3g} bis {high:.3g} gemessen."
LAST_RANGE = "Im letzten Lauf ging der Indikator von {low:.3g} bis {high:.3g}."
RANGE_UNKNOWN = "Wie stark sich die Schritte dieses Modells ändern, wird erst ein Lauf zeigen."
STARTS_ABOVE = "Bei diesem Prompt wird bis {value:.3g} nichts wiederverwendet."
EXPECTED = (
    "**Erwartet:** {reused} von {steps} Schritten wiederverwendet, etwa {seconds:.1f} s statt "
    "{whole:.1f} s. {kind}"
)
EXPECTED_NOTHING = "**Erwartet:** Mit diesen Einstellungen wird nichts wiederverwendet. {kind}"
EXACT = "*Welche Schritte: genau. Sekunden: aus dem Lauf ohne Cache geschätzt.*"
ESTIMATED = "*Aus dem Lauf ohne Cache geschätzt.*"
EXACT_NOTHING = "*Genau, aus dem Lauf ohne Cache.*"
MIND = "**Achtung:** {note}"
EXPECT_LATER = "Nach einem ersten Lauf steht hier vorab, was eine Schwelle bewirken würde."

IMAGE_OPTIONAL = "Ausgangsbild (kann wegbleiben)"
IMAGE_REQUIRED = "Ausgangsbild (nötig)"

WAITING = "Warten, bis das Modell frei ist …"
STOPPED = "Angehalten. „Erzeugen“ beginnt von vorn."
FAILED = "Beim Erzeugen ist etwas schiefgegangen. Was, steht im Protokoll des Servers."

PANEL = {
    "empty_title": "Hier treten zwei Videos gegeneinander an",
    "empty_text": "„Erzeugen“ drücken: erst das volle Modell, dann BWCache. Zu sehen ist jeder "
    "Schritt, was er wiederverwendet und wie viele Sekunden das spart.",
    "baseline": "Ohne Cache",
    "cached": "BWCache",
    "control": "Kontrolle",
    "control_note": "weniger Schritte, ohne Cache",
    "remembered": "gemerkter Lauf ohne Cache (Zeit von damals)",
    "waiting": "wartet",
    "preparing": "Das Modell wird vorbereitet …",
    "stage_download": "Das Modell wird heruntergeladen: {done} von {total} GB",
    "stage_load": "Das Modell wird geladen …",
    "stage_warm_up": "Aufwärmen, damit kein gemessener Schritt dafür zahlt …",
    "stage_retry": "Noch einmal von vorn …",
    "running_baseline": "Ohne Cache: Schritt {i} von {n}",
    "running_cached": "Mit BWCache: Schritt {i} von {n}, bisher {reused} wiederverwendet",
    "running_control": "Kontrolle: Schritt {i} von {n}",
    "finishing": "Die beiden Videos werden verglichen …",
    "saved": "gespart",
    "lost": "länger als ohne Cache",
    "speedup": "Beschleunigung",
    "reused": "Schritte wiederverwendet",
    "psnr": "PSNR",
    "ssim": "SSIM",
    "lpips": "LPIPS",
    "identical": "identisch",
    "caveat": "PSNR und SSIM messen den Unterschied zum Video ohne Cache, nicht die Qualität.",
    "fine_print": "Zeit des Entrauschens, gemessen auf {device}. Das Vergleichen der Schritte "
    "nahm {share} % des Laufs mit Cache ein und ist mitgezählt.",
    "control_line": "Kontrolle: {steps} Schritte ohne Cache in {seconds} s, PSNR {psnr}.",
    "race": "Zeit",
    "race_note": "Entrauschen, in Sekunden; jedes Stück ist ein Schritt",
    "indicator": "Ähnlichkeit der Blöcke",
    "indicator_note": "relatives L1 zwischen Schritten, im Mittel über die Blöcke: Niedrig heißt, "
    "wenig hat sich geändert",
    "threshold": "Schwelle",
    "strip": "Schritte",
    "compute": "C gerechnet",
    "reuse": "r wiederverwendet",
    "heat": "Änderung, Block für Block",
    "heat_note": "relatives L1 gegen den zuletzt gerechneten Schritt",
    "both": "Beide",
    "readout_idle": "Auf eine Zelle zeigen, um sie abzulesen",
    "readout_value": "{run} · Schritt {i} · Block {b}: {v}",
    "readout_reused": "{run} · Schritt {i}: wiederverwendet, nichts zu messen",
    "readout_first": "{run} · Schritt {i}: nichts zum Vergleichen",
    "readout_none": "{run} · Schritt {i}: nicht erreicht",
    "heat_label": "{run}: relatives L1 jedes Blocks in jedem Schritt, {blocks} Blöcke, {steps} "
    "Schritte",
    "step_title": "{run}, Schritt {i}: {action}. {why}",
    "computed_word": "gerechnet",
    "reused_word": "wiederverwendet",
    "axis_step": "Schritt",
    "axis_block": "Block",
    "play": "Abspielen",
    "pause": "Pause",
    "restart": "Von vorn",
    "back": "Ein Bild zurück",
    "forward": "Ein Bild vor",
    "seek": "Stelle in beiden Videos",
    "frame": "Bild {i} / {n}",
    "downloads": "Herunterladen",
    "file_baseline": "Video ohne Cache",
    "file_cached": "BWCache-Video",
    "file_control": "Kontrollvideo",
    "file_difference": "Unterschied als Video",
    "file_trace": "Protokoll",
    "file_summary": "Zusammenfassung",
    "preview_alt": "{run}: grobes Bild des unfertigen Videos",
    "video_alt": "{run}: das Video",
    "seconds": "{s} s",
    **{f"method_{value}": name for name, value in REUSE_CHOICES},
    "progress": "Fortschritt",
    "progress_left": "noch etwa {s} s",
    "progress_minutes": "noch etwa {m} min",
    "progress_soon": "gleich fertig",
    "progress_unknown": "Dauer noch unbekannt",
    "phase_baseline": "Der Lauf ohne Cache beginnt.",
    "phase_cached": "Der Lauf mit BWCache beginnt.",
    "phase_control": "Der Kontrolllauf beginnt.",
    **texts_de_more.PANEL,
    **views_texts_de.PANEL,
}
