# Les limites, en français. Chaque clé existe aussi dans ../en.

nav-limits = Limites
limits-words = Une limite souple accepte tout et laisse partir à son rythme. Une limite stricte refuse, et dit jusqu’à quand. Les fenêtres glissent : une heure, ce sont les 60 dernières minutes, un jour les 24 dernières heures.
limits-empty = Personne n’a de limite. Voyez ce que pourraient être les limites, d’après ce qui a été envoyé.
limits-owner = De
limits-limit = Limite
limits-used = Utilisé
limits-waiting = En attente
limits-kind = Genre
limits-hard = stricte
limits-soft = souple
limits-forecast = À ce rythme
limits-reached = atteinte : { $value }
limits-at-this-pace = { $value } dans une fenêtre
limits-of-organisation = l’organisation
limits-of-connector = connecteur { $value }
limits-of-device = appareil { $value }
limits-of-each-device = chaque appareil de { $value }
limits-of-credential = identifiant { $value }
limits-of-domain = domaine { $value }
limits-of-sender = expéditeur { $value }
limits-of-each-sender = chaque expéditeur
limits-messages-per-minute = messages par minute
limits-recipients-per-hour = destinataires par heure
limits-external-recipients-per-hour = destinataires externes par heure
limits-recipients-per-day = destinataires par jour
limits-new-recipients-per-day = nouveaux destinataires par jour
limits-proposals = Limites proposées
limits-proposals-words = Le double du maximum qu’une fenêtre a contenu ces 30 derniers jours : un jour chargé passe, un appareil détourné non. Rien n’est réglé tout seul.
limits-proposals-empty = Rien n’a été envoyé ces 30 derniers jours : il n’y a rien à apprendre.
limits-learnt = { $count ->
    [one] Appris d’un message.
   *[other] Appris de { $shown } messages.
}
limits-organisation = Organisation
limits-peak = Maximum
limits-current = Actuel
limits-proposed = Proposé
limits-none = aucune
