"""German for the panel's parts in `texts.py`: recorded runs, the what-if slider, the tour."""

PANEL = {
    # Recorded runs: gallery.js
    "locale": "de-DE",
    "gallery": "Aufgezeichnete Läufe",
    "recorded_run": "Aufgezeichneter Lauf",
    "recorded_where": "{hardware} · {date}",
    "recorded_on": "aufgezeichnet am {date}",
    "run_numbers": "δ {threshold} · {speedup}× · {psnr}",
    "replay": "Den aufgezeichneten Lauf abspielen",
    "replay_real": "In echtem Tempo abspielen",
    "replay_fast": "Schnell abspielen",
    "replay_skip": "Zum Ende springen",
    "run_broken": "Der aufgezeichnete Lauf „{title}“ kann nicht gezeigt werden: {why}.",
    "run_unreachable": "Seine run.json lässt sich nicht laden, der Server antwortet nicht",
    "run_refused": "Der Server gibt seine run.json nicht heraus (Status {status})",
    "run_no_json": "Seine run.json ist kein gültiges JSON; bitte neu aufzeichnen",
    "run_foreign": "Seine run.json sagt {format} Version {version}; nötig ist "
    "bwcache-recorded-run Version 1",
    "run_incomplete": "Seine run.json enthält keinen ganzen Lauf; bitte neu aufzeichnen",
    # The slider that foretells another threshold's schedule: whatif.js
    "whatif_title": "Was wäre mit der Schwelle …",
    "whatif_note": "vorausgesagt aus den Messungen des Laufs ohne Cache; nichts läuft noch einmal",
    "whatif_slider": "Schwelle zum Probieren",
    "whatif_interval": "Intervall R",
    "whatif_this_run": "{value} (dieser Lauf)",
    "whatif_gate": "Gate",
    "whatif_once": "once: Muster beibehalten",
    "whatif_recheck": "recheck: neu prüfen",
    "whatif_strip": "Schritte, vorausgesagt",
    "whatif_line": "was wäre, wenn",
    "whatif_reused": "{reused} von {steps} Schritten wiederverwendet",
    "whatif_nothing": "Nichts wiederverwendet",
    "whatif_seconds": "etwa {seconds} s statt {whole} s ({speedup}×)",
    "whatif_exact": "Welche Schritte: genau.",
    "whatif_estimate": "Welche Schritte: geschätzt, denn ein Lauf mit Cache mäße andere Werte.",
    "whatif_times": "Sekunden: aus den Schrittzeiten dieses Laufs geschätzt.",
    "whatif_starts": "In diesem Lauf wird bis {value} nichts wiederverwendet.",
    "whatif_pays": "Nur {computed} von {steps} Schritten werden gerechnet. Unter {least} von {of} "
    "ist es bei diesem Modell etwa ebenso gut, einfach so wenige Schritte ohne Cache zu nehmen "
    "(gemessen).",
    "whatif_use": "Diese Schwelle übernehmen",
    "whatif_back": "Zurück zu diesem Lauf",
    "whatif_used": "Sie steht jetzt im Formular. „Erzeugen“ startet den Lauf.",
    # The tour: a title, a sentence with this run's numbers, the paper's figure. tour.js
    "tour_start": "Rundgang",
    "tour_about": "dieser Lauf, in sieben kurzen Schritten erklärt",
    "tour_count": "{i} von {n}",
    "tour_back": "Zurück",
    "tour_next": "Weiter",
    "tour_close": "Schließen",
    "tour_end": "Fertig",
    "tour_source": "Paper (arXiv 2509.13789)",
    "tour_step_title": "Was ein Schritt ist",
    "tour_step": "Das Video beginnt als Rauschen und wird in {steps} Schritten gereinigt. Jedes "
    "Stück eines Balkens ist einer davon; ohne Cache dauerte ein Schritt etwa {per} s.",
    "tour_block_title": "Was ein Block ist",
    "tour_block": "In jedem Schritt geht das Bild durch die Transformer-Blöcke des Modells; jede "
    "dieser {blocks} Zeilen ist einer. Ohne Cache nahmen die Blöcke {share} % der Zeit ein: So "
    "viel kann Wiederverwenden sparen.",
    "tour_curve_title": "Warum die Kurve in der Mitte niedrig ist",
    "tour_curve": "Die Kurve sagt, wie stark sich die Ausgabe der Blöcke seit dem Schritt davor "
    "geändert hat. Sie fiel von {first} auf {low} in Schritt {low_step} und stieg am Ende auf "
    "{last}: Dazwischen wiederholt jeder Schritt beinahe den davor.",
    "tour_flat_title": "Wo die Kurve niedrig ist",
    "tour_flat": "Die Kurve sagt, wie stark sich die Ausgabe der Blöcke seit dem Schritt davor "
    "geändert hat. Am niedrigsten, {low}, war sie in Schritt {low_step}, am höchsten, {high}, in "
    "Schritt {high_step}. Wo sie niedrig ist, wiederholt ein Schritt beinahe den davor.",
    "tour_curve_paper": "eine U-Form; in den mittleren Schritten sind sich die Blöcke am "
    "ähnlichsten, die Arbeit also überflüssig.",
    "tour_threshold_title": "Was die Schwelle bewirkt",
    "tour_threshold": "Wiederverwendet wird nach dem ersten Schritt unter der Schwelle, hier "
    "{threshold}: Das war Schritt {trigger} mit {value}. In diesem Lauf wird bis {starts} nichts "
    "wiederverwendet. Der Schieber zeigt, was andere Schwellen täten.",
    "tour_never": "Wiederverwendet wird nach dem ersten Schritt unter der Schwelle, hier "
    "{threshold}. In diesem Lauf gab es keinen: Bis {starts} wird nichts wiederverwendet. Der "
    "Schieber zeigt, was andere Schwellen täten.",
    "tour_threshold_paper": "üblich ist 0.15. Bei Open-Sora wurden mit 0.15, 0.20 und 0.25 "
    "41, 53 und 59 % der Schritte wiederverwendet.",
    "tour_reuse_title": "Was r bedeutet",
    "tour_reuse": "In einem Schritt mit r läuft kein Block: Was die Blöcke zuletzt gaben oder "
    "dessen Trend steht dafür ein. Auf einen gerechneten, C, folgen bis zu {interval} solche. Hier "
    "wurden {reused} von {steps} Schritten wiederverwendet.",
    "tour_reuse_paper": "üblich sind 10 % der Schritte in Folge. Bei Open-Sora brauchten 5, 10 und "
    "20 % 34.7, 27.7 und 26.0 s, mit LPIPS 0.045, 0.088 und 0.142.",
    "tour_saved_title": "Was gespart wird",
    "tour_saved": "Das Entrauschen dauerte ohne Cache {whole} s und mit {method} {part} s: "
    "{speedup}×. Das Vergleichen der Schritte ist mitgezählt, {measuring} % des Laufs mit Cache.",
    "tour_saved_paper": "Wan 2.1, 81 Bilder in 480p: aus 912 s wurden 457 s, 2.00×, auf A800.",
    "tour_differ_title": "Wie weit die Videos auseinanderliegen",
    "tour_differ": "PSNR ist {psnr} dB und SSIM {ssim}; höher heißt ähnlicher. Beide messen den "
    "Unterschied, nicht die Qualität: Am besten urteilt das Auge.",
    "tour_same": "Beide sind in jedem Pixel gleich.",
    "tour_differ_paper": "Wan 2.1, 81 Bilder in 480p: 25.86 dB PSNR, 0.8539 SSIM und 0.0782 LPIPS "
    "gegenüber dem Video ohne Cache.",
}
