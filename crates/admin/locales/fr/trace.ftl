# Suivi des messages, et l’histoire d’un message.

search-failed-today = Échecs du jour
search-waiting = En attente
search-refused = Refusés par nous
search-slow = Lents (plus de 5 minutes)
search-legacy-tls = Ancien TLS
search-biggest = Plus gros expéditeurs
filter-until = Jusqu’à
since-hint = 90s, 30m, 24h, 7d, today, un jour tel que 2026-11-24, ou une heure telle que 2026-11-24T10:00:00Z
trace-add = Critère
trace-value = Valeur du critère
trace-add-button = Ajouter
trace-built-in = Recherches prédéfinies
trace-ranges = Période
trace-terms = Critères de cette recherche
trace-remove = retirer
trace-live-on = Vue en direct
trace-live-off = Arrêter la vue en direct
trace-live-starts = À l’écoute…
trace-live-new = # de plus depuis l’ouverture de cette page
trace-live-lost = La connexion est perdue ; nouvelle tentative en cours.
trace-live-pause = Pause
trace-live-script = La vue en direct nécessite JavaScript. Rechargez la page pour voir les nouveautés.
trace-newest = Aux plus récents
trace-not-yet = Rien trouvé pour l’instant. Ce qui est rare se cherche par étapes : continuez avec « Plus anciens ».
trace-not-all = Il y en a peut-être d’autres, plus anciens.
trace-saved = Recherches enregistrées
trace-saved-none = Aucune pour l’instant. Une recherche enregistrée garde sa période relative.
trace-save-as = Enregistrer cette recherche sous
trace-save = Enregistrer
trace-forget = Supprimer
trace-columns = Colonnes et fuseau horaire
trace-zone = Fuseau horaire de ce qui est affiché et des jours cherchés
trace-columns-keep = Afficher celles-ci
as-api = En appel d’API :
column-next-hop = Serveur suivant
column-answer = Réponse
column-duration = Durée
story-only-queued = Le suivi de ce message est effacé ; le message est encore dans la file d’attente.
story-all-delivered =
    { $count ->
        [one] Remis.
       *[other] Remis aux { $shown } destinataires.
    }
story-partly = Remis à { $delivered } destinataires sur { $all }.
story-recipients = Destinataires
story-delivered-means = « Remis » veut dire que le serveur suivant a accepté le message. Ce qui se passe dans la boîte nous échappe.
story-said = Conversations SMTP
story-said-none = Rien n’en est conservé. Les conversations le sont quelques jours, sans secrets ni contenu, et en partie seulement lors des pointes.
story-with-client = Avec le client { $value }
story-with-hop = Avec le serveur suivant { $value }
story-related = À voir aussi
story-same-client = Même client, 10 minutes avant et après
story-same-sender = Même expéditeur
story-same-subject = Même objet
story-same-reason = Refusés pour le même motif
story-support = Texte pour l’assistance
story-support-hint = Ni contenu ni secret ; à copier dans un e-mail ou un ticket.
fact-header-from = From de l’en-tête
fact-envelope-sender = Expéditeur avant et après
fact-certificate = Certificat
fact-tls-in = TLS avec le client
fact-tls-out = TLS avec le serveur suivant
fact-repairs = Réparations
fact-signed-by = Signatures DKIM
fact-noted = Noté à l’acceptation
fact-settings = Version des paramètres
fact-expires = Cette trace est gardée jusqu’au

resend-label = L’envoyer aussi à une autre adresse
resend-button = Envoyer
resend-done = Il part vers { $value } : voici le nouveau message.
alert-from = M’alerter pour de tels messages
