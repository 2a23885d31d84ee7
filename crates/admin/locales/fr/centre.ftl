# Ce que disent les pages, en français. Chaque clé est aussi dans ../en, à la même place.

skip = Aller au contenu
navigation = Menu
search-label = Rechercher partout
search-hint = Adresse, référence, identifiant, nom, code SMTP
search-button = Rechercher
sign-out = Se déconnecter
as-command = En ligne de commande :
back-home = Retour à l’accueil
files-label = Exporter
column-whole = Afficher
colon = { " " }:
older = Plus anciens
more = Suite

nav-home = Accueil
nav-trace = Suivi des messages
nav-queue = File d’attente
nav-inbound = Connecteurs entrants
nav-outbound = Connecteurs sortants
nav-domains = Domaines
nav-attempts = Tentatives refusées

error-title = Cela n’a pas fonctionné
error-not-found = Cette page n’existe pas, ou ce qu’elle montrait n’est plus là.
error-foreign = Ce formulaire ne vient pas d’une page de cette session. Rouvrez la page et recommencez.
error-form = Le formulaire est arrivé en morceaux qui ne s’accordent pas. Rouvrez la page et recommencez.
error-file-text = Le fichier n’est pas un texte en UTF-8. Enregistrez-le en UTF-8 et envoyez-le à nouveau.
error-read-only = Vous pouvez tout lire et ne rien modifier. Adressez-vous à un propriétaire.

sign-in-title = Connexion
sign-in-button = Se connecter
sign-in-hint = Pas encore d’administrateur, ou mot de passe oublié ? Sur le serveur :
setup-title = Le premier administrateur
setup-words = Vous devenez propriétaire de cette installation. Le lien qui vous a conduit ici ne sert qu’une fois.
setup-button = Créer et se connecter
field-name = Nom
field-password = Mot de passe
field-new-password = Nouveau mot de passe
field-old-password = Mot de passe actuel
field-again = Confirmez le nouveau mot de passe
account-title = Votre compte
account-password = Changer le mot de passe
account-button = Changer et déconnecter partout
people-name = { $count } caractères au plus parmi a-z, 0-9, point, tiret, tiret bas et @.
people-taken = Un administrateur porte déjà ce nom.
people-password = Au moins { $count } caractères ; une phrase convient bien.
people-guessable = Ce mot de passe serait vite deviné : il figure parmi ceux des fuites connues, ou se compose de noms de cette installation. Choisissez une phrase à vous.
people-wrong = Le nom ou le mot de passe est incorrect.
people-old-wrong = Le mot de passe actuel est incorrect.
people-slowed = Trop de mots de passe incorrects. Réessayez plus tard.
people-link = Ce lien a déjà servi, a plus de 60 minutes, ou a été remplacé. Faites-en un autre sur le serveur : relais setup-link
people-differ = Les deux nouveaux mots de passe diffèrent.

home-well = Relais accepte le courrier.
home-in-queue =
    { $count ->
        [0] Rien n’attend.
        [one] Un destinataire attend.
       *[other] { $shown } destinataires attendent.
    }
home-unwell = Aucun message n’est accepté pour l’instant. { $value }
home-not-yet = Tout courrier est refusé : aucun domaine n’est encore vérifié.
home-queued = nouveaux en file d’attente
home-deferred = à réessayer
home-held = retenus
home-oldest = âge du plus ancien
home-refused = refusés en 24 heures
home-steps = Reste à configurer
home-matters = À surveiller
home-no-matters = Rien à surveiller.
home-certificate-none = { $value } n’a pas de certificat.
home-certificate-ends = Le certificat de { $value } expire bientôt.
home-domain-state = Le domaine { $value } n’est pas vérifié.
home-domain-dns = Le DNS de { $value } diffère de la proposition.
home-suspended = La remise est suspendue : { $value }.

trace-search = Recherche
trace-empty = Rien à afficher. Envoyez un test, ou lancez une numérisation sur un appareil : les tentatives apparaissent en moins d’une seconde.
chip-all = Tout
chip-held = Retenus
chip-delivered = Remis
filter-since = Depuis
filter-button = Afficher
filter-none = Sans filtre
filter-any = Tous
filter-destination = Destination
filter-sender = Expéditeur
filter-organisation = Organisation
filter-older = Plus ancien que
filter-reason = La réponse contient

column-time = Heure
column-status = État
column-client = Client
column-connector = Connecteur
column-from = De
column-to = À
column-subject = Objet
column-size = Taille
column-name = Référence
column-attempts = Tentatives
column-next = Prochaine tentative
column-reply = Dernière réponse
column-choose = Choisir
column-accepted = Accepté
column-recipients = Destinataires
column-domain = Domaine
column-state = État
column-kind = Type
column-checked = Dernière vérification
column-wrong = Différences dans le DNS
column-identified = Reconnu par
column-senders = Domaines d’expédition
column-hosts = Sort par
column-for = Domaines destinataires

status-delivered = Remis
status-accepted = Accepté
status-deferred = Différé
status-queued = Nouveau
status-active = Remise en cours
status-held = Retenu
status-failed = Échec
status-refused = Refusé par nous
status-partly = Remis en partie
status-expired = Expiré
status-discarded = Écarté
status-other = Autre
step-attempted = Tentative
step-repaired = Réparé
step-notice-sent = Avis envoyé
step-notice-received = Avis reçu
step-restricted = Restreint
step-released = Restriction levée
step-check = Vérification changée
step-alert = Alerte
step-settings = Paramètres modifiés

fact-helo = Se présente comme
fact-credential = Identifiant
fact-outbound = Sorti par
fact-tls = TLS
story-message = Message { $value }
story-refusal = Refus { $value }
story-attempts = Vers les tentatives refusées
story-facts = Ce que l’on sait
story-steps = Ce qui s’est passé
story-today = Avec les paramètres actuels
today-permit = Serait accepté.

queue-empty = Rien n’attend.
queue-nothing-fits = Rien ne correspond à ce filtre.
queue-next = prochaine tentative
queue-act = Action
queue-chosen = sur les messages choisis
queue-all = sur tous ceux du filtre
act-retry = Essayer maintenant
act-hold = Retenir
act-release = Libérer
act-bounce = Retourner à l’expéditeur
act-delete = Supprimer
confirm-title = Confirmer
confirm-cancel = Annuler
confirm-retry =
    { $count ->
        [one] Essayer un message maintenant ?
       *[other] Essayer { $shown } messages maintenant ?
    }
confirm-hold =
    { $count ->
        [one] Retenir un message ? Il attend qu’une personne le libère.
       *[other] Retenir { $shown } messages ? Ils attendent qu’une personne les libère.
    }
confirm-release =
    { $count ->
        [one] Libérer un message ?
       *[other] Libérer { $shown } messages ?
    }
confirm-bounce =
    { $count ->
        [one] Retourner un message à son expéditeur avec un avis ? Il ne sera plus remis.
       *[other] Retourner { $shown } messages à leurs expéditeurs avec un avis ? Ils ne seront plus remis.
    }
confirm-delete =
    { $count ->
        [one] Supprimer un message sans prévenir son expéditeur ? C’est définitif.
       *[other] Supprimer { $shown } messages sans prévenir leurs expéditeurs ? C’est définitif.
    }
done-retry =
    { $count ->
        [one] { $shown } destinataire est essayé maintenant.
       *[other] { $shown } destinataires sont essayés maintenant.
    }
done-hold =
    { $count ->
        [one] { $shown } destinataire est retenu.
       *[other] { $shown } destinataires sont retenus.
    }
done-release =
    { $count ->
        [one] { $shown } destinataire est libéré.
       *[other] { $shown } destinataires sont libérés.
    }
done-bounce =
    { $count ->
        [one] Retourné pour { $shown } destinataire.
       *[other] Retourné pour { $shown } destinataires.
    }
done-delete =
    { $count ->
        [one] Supprimé pour { $shown } destinataire.
       *[other] Supprimé pour { $shown } destinataires.
    }

attempts-empty = Aucun refus sur cette période. Un appareil refusé apparaît ici en moins d’une seconde.
attempts-count =
    { $count ->
        [one] une fois
       *[other] { $shown } fois
    }
attempts-last = dernière fois le
attempts-adopt = Adopter
attempts-self-test = Relais lui-même, qui vérifie que les inconnus sont refusés : c’est bien ainsi.
attempts-ignore = Ignorer
attempts-block = Bloquer l’adresse
since-hour = Dernière heure
since-day = 24 heures
since-week = 7 jours
since-month = 30 jours
done-adopt = { $value } est créé, en observation : il explique tout, et ne remet qu’aux destinataires de test. Activez-le avec relais connector inbound enable.
done-adopt-user = L’utilisateur { $value } peut désormais se connecter aussi depuis cette adresse.
done-ignore = Ces tentatives de cette adresse ne sont plus affichées.
done-block = Adresse bloquée : { $value }.

domains-empty = Ajoutez le domaine d’où vient votre courrier.
domain-verified = Vérifié
domain-pending = Pas encore vérifié
domain-lapsing = La preuve a disparu, délai de grâce en cours
domain-suspended = Suspendu
kind-authoritative = faisant autorité : les destinataires inconnus sont refusés
kind-internal-relay = relais interne : les destinataires inconnus sont transmis
domain-check = Vérifier le DNS maintenant
domain-looked = Le DNS vient d’être interrogé.
domain-checks = Ce que montre le DNS
domain-records = À publier dans le DNS
domain-no-records = Rien à publier.
check-ok = Correct
check-unknown = Inconnu
check-wrong = Différent
record-name = Nom
record-verification = Preuve de propriété
record-bounce = { $value } du domaine de retour
record-type = Type
record-value = Valeur
record-copy = Un clic sur une valeur la sélectionne en entier, pour la copier.

inbound-empty = Personne ne peut encore envoyer. Ajoutez le premier appareil ici, ou sur le serveur : { $value }
outbound-empty = Le courrier va directement aux serveurs des destinataires (MX). Ajoutez une voie de sortie si un fournisseur doit le prendre.
inbound-last = Dernier message
inbound-untested = non testé
inbound-clients = Clients en 24 heures
by-credential = identifiant
connector-enabled = Activé
connector-observing = En observation
connector-draft = Brouillon
connector-disabled = Désactivé
connector-activity = Ce qu’il a envoyé
connector-settings = Paramètres

span-seconds = { $count } s
span-minutes = { $count } min
span-hours = { $count } h
span-days = { $count } j
