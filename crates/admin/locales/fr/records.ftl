nav-group-mail = Courrier
nav-group-who = Qui et vers où
nav-group-house = Ce serveur
records-done = Terminé
records-none = Rien ne correspond à ce filtre.
records-sought = Contient
column-acts = Actions

nav-audit = Journal d’audit
audit-empty = Rien n’a encore été modifié. La première modification sera la première entrée.
audit-none = Aucune entrée ne correspond à ce filtre.
audit-intact = La chaîne des empreintes est entière : personne n’a modifié ce journal.
audit-broken = La chaîne des empreintes est rompue à l’entrée { $value } : quelqu’un a modifié le journal en dehors de Relais.
audit-actor = Qui
audit-act = Action
audit-detail = Détail, avant → après
audit-text = Contient
audit-via = Par
audit-from = Adresse
audit-time = Date
audit-hash = empreinte
audit-revert = Annuler
audit-revert-question = Annuler ce que la version { $value } des paramètres a modifié ? Ce qui a été modifié ailleurs depuis reste.
audit-revert-nothing = Il ne reste rien à annuler de la modification de la version { $value }.
audit-reverted = La modification de la version { $value } est annulée.
audit-door-web = centre d’administration
audit-door-api = clé d’API
audit-door-socket = ligne de commande
audit-door-folder = dossier de données
audit-door-start = Relais lui-même

nav-credentials = Identifiants
credentials-empty = Aucun appareil ne se connecte avec un mot de passe. Donnez à chaque appareil le sien : s’il est perdu ou volé, on ne révoque que lui, et le suivi dit lequel a envoyé quoi.
credentials-none = Aucun identifiant ne correspond à ce filtre.
credentials-sought = Utilisateur ou adresse
credentials-user = Utilisateur
credentials-password = Mot de passe
credentials-connector = Connecteur entrant
credentials-may-send-as = Peut envoyer en tant que
credentials-sources = Utilisé depuis
credentials-last = Dernier usage
credentials-expires = Expire
credentials-expires-hint = Un jour, par exemple 2027-12-31, ou une heure. Vide : jamais.
credentials-any-address = toute adresse de son connecteur
credentials-anywhere = partout
credentials-on = en service
credentials-off = désactivé
credentials-until = jusqu’au { $value }
credentials-never = jamais utilisé
credentials-previous = l’ancien mot de passe reste valable jusqu’au { $value }
credentials-rotate = Nouveau mot de passe
credentials-enable = Activer
credentials-disable = Désactiver
credentials-revoke = Révoquer
credentials-rotate-question = Donner un nouveau mot de passe à { $value } ?
credentials-revoke-question = Révoquer { $value } ? L’appareil est refusé dès sa prochaine connexion.
credentials-done-revoke = { $value } est révoqué.
credentials-done-enable = { $value } peut de nouveau se connecter.
credentials-done-disable = { $value } est désactivé : refusé dès sa prochaine connexion.
credentials-overlap = L’ancien mot de passe reste valable encore
credentials-overlap-hint = 24h, 7d ; 0s : pas du tout.
credentials-add = Un nouvel identifiant
credentials-user-hint = 20 caractères au plus parmi a-z, 0-9 et le tiret : les appareils n’acceptent guère plus.
credentials-may-hint = Des adresses ou *@domaine, séparées par des virgules. Vide : toute adresse du connecteur.
credentials-sources-hint = Des adresses ou des réseaux, séparés par des virgules. Vide : partout.
credentials-make = Créer
credentials-once = Saisissez maintenant ces deux valeurs dans l’appareil : le mot de passe n’est affiché que cette fois.

nav-directory = Annuaire
directory-empty = Aucune adresse n’y figure. Importez vos boîtes aux lettres ci-dessous, ou ajoutez-les une à une : l’annuaire dit qui est une personne de chez vous, et qui a une boîte aux lettres.
directory-none = Aucune adresse ne contient cela.
directory-total =
    { $count ->
        [one] Une adresse.
       *[other] { $shown } adresses.
    }
directory-address = Adresse
directory-kind = Type
directory-mailbox = boîte aux lettres
directory-person = personne sans boîte
directory-is-person = Une personne sans boîte
directory-add = Ajouter une adresse
directory-add-button = Ajouter
directory-remove = Retirer
directory-remove-question = Retirer { $value } de l’annuaire ?
directory-import = Importer un CSV
directory-import-button = Importer
directory-csv = Lignes d’un fichier CSV
directory-csv-hint = Colonnes address et mailbox (true ou false), séparées par une virgule, un point-virgule ou une tabulation. Vous voyez ce qui changerait avant que rien ne change.
directory-prune = Supprimer les adresses absentes du fichier
directory-look = Voir ce qui changerait
directory-would-change =
    { $count ->
        [0] Rien ne changerait.
        [one] Une entrée changerait :
       *[other] { $shown } entrées changeraient :
    }
directory-done =
    { $count ->
        [0] Il n’y avait rien à modifier.
        [one] Une entrée a été modifiée.
       *[other] { $shown } entrées ont été modifiées.
    }

nav-licences = Licences
licences-empty = Sur 30 jours, aucun expéditeur ne compte pour une licence ni ne manque à l’annuaire.
licences-seats = { $organisation } – licences utilisées : { $used } sur { $seats } ; boîtes : { $mailboxes } ; personnes sans boîte : { $people } ; { $policy }.
licences-address = Expéditeur
licences-kind = Type
licences-last = Dernier envoi
licences-person = personne
licences-unlisted = absent de l’annuaire
licences-off = les licences ne sont pas comptées
licences-report = les licences sont comptées et signalées
licences-enforce = les personnes sans licence sont refusées
licences-policy = Une fois les licences épuisées
licences-policy-of = Licences de { $value }
licences-policy-words = Les appareils et applications n’ont besoin d’aucune licence. Une personne compte dès son premier message, et 30 jours après le dernier.
licences-seats-field = Licences
licences-done = Les licences de { $value } sont modifiées.

nav-restricted = Restrictions
restricted-words = Ce qui figure ici est refusé aussitôt, quoi que permettent les paramètres.
restricted-empty = Aucune restriction n’est en vigueur.
restricted-what = Objet
restricted-kind = Type
restricted-value = Valeur
restricted-reason = Motif
restricted-by = Par
restricted-until = Jusqu’à
restricted-until-hint = 1h, 7d, un jour ou une heure. Vide : jusqu’à la levée.
restricted-for-good = jusqu’à la levée
restricted-release = Lever
restricted-block = Ajouter une restriction
restricted-block-button = Restreindre
restricted-done-block = { $value } est restreint.
restricted-done-release = La restriction de { $value } est levée.
restricted-ip = adresse IP ou réseau
restricted-address = adresse de l’expéditeur
restricted-domain = domaine de l’expéditeur
restricted-connector = connecteur entrant
restricted-credential = identifiant
restricted-organisation = organisation
restricted-device = appareil (adresse par connecteur)
restricted-hold = Accepter son courrier et le retenir, au lieu de le refuser
restricted-holds = son courrier est retenu

nav-suppression = Destinataires écartés
suppression-words = Rien n’est envoyé à ces destinataires : leur serveur a dit que l’adresse n’existe pas, ou ils l’ont demandé.
suppression-empty = Aucun destinataire n’est écarté.
suppression-address = Destinataire
suppression-bounce = boîte inexistante
suppression-complaint = plainte
suppression-request = sur demande
suppression-add = Ne plus rien envoyer à un destinataire
suppression-add-button = Écarter
suppression-done-add = Plus rien n’est envoyé à { $value }.
suppression-done-release = On peut de nouveau écrire à { $value }.

programs-name = Nom
programs-all = toutes les organisations

nav-api-keys = Clés d’API
keys-empty = Aucun programme n’a de clé. Donnez à chaque programme la sienne, avec les seuls droits nécessaires.
keys-scopes = Droits
keys-scopes-hint = queue:read, messages:write… séparés par des virgules ; *:read permet de tout lire ; content et erase doivent être nommés. Objets : { $value }
keys-made = Créée par
keys-last = Dernier usage
keys-on = en service
keys-over = expirée
keys-credential = Remet du courrier en tant que
keys-credential-hint = L’utilisateur d’un identifiant, pour les clés qui envoient. Peut rester vide.
keys-expires = Expire
keys-expires-hint = 90d, un jour ou une heure. Vide : jamais.
keys-key = Clé
keys-add = Une nouvelle clé
keys-make = Créer la clé
keys-once = Saisissez maintenant cette clé dans le programme : elle n’est affichée que cette fois.
keys-revoke-question = Révoquer la clé { $value } ? Son programme est aussitôt refusé.
keys-revoked = La clé { $value } est révoquée.

nav-webhooks = Webhooks
hooks-empty = Personne n’est averti des événements. Un webhook envoie chaque événement à une adresse à vous dès qu’il survient, signé.
hooks-address = Adresse
hooks-address-hint = https://…
hooks-events = Événements
hooks-event = Événement
hooks-all-events = tous sauf les tentatives une à une
hooks-events-hint = Aucun coché : tous sauf les tentatives une à une.
hooks-on = activé
hooks-off = désactivé
hooks-key = Clé de signature
hooks-add = Un nouveau webhook
hooks-make = Créer
hooks-once = Donnez cette clé au destinataire des envois : elle n’est affichée que cette fois.
hooks-test = Tester
hooks-enable = Activer
hooks-disable = Désactiver
hooks-rotate = Nouvelle clé
hooks-remove = Supprimer
hooks-rotate-question = Créer une nouvelle clé pour { $value } ? L’ancienne signe aussi pendant un jour.
hooks-remove-question = Supprimer le webhook { $value } ? Ce qui attend d’être envoyé est abandonné.
hooks-done-test = Un test part vers { $value }.
hooks-done-enable = { $value } est activé.
hooks-done-disable = { $value } est désactivé.
hooks-done-remove = { $value } est supprimé.
hooks-done-resend = L’événement est renvoyé à { $value }.
hooks-nothing-posted = Rien ne lui a encore été envoyé.
hooks-delivered = reçu
hooks-failed = abandonné
hooks-waiting = en attente
hooks-body = Ce qui a été envoyé
hooks-resend = Renvoyer

nav-settings = Paramètres
settings-words = Version { $value } des paramètres. Toute clé qui a une valeur figure ici, même sans page dédiée ; elle se modifie sur sa page, ou avec relais apply.
settings-more = Les { $shown } premières clés ; cherchez les autres.
settings-empty = Rien n’est encore configuré.
settings-object = Objet
settings-key = Clé
settings-value = Valeur
settings-name = Nom court
settings-about = À propos de { $value }
settings-display-name = Nom affiché
settings-postmaster = Postmaster
settings-postmaster-hint = Reçoit les alertes, et les avis sans autre boîte aux lettres.
settings-language = Langue
settings-language-hint = Celle des avis et des alertes par e-mail.
settings-done = { $value } : modification enregistrée.

nav-organisations = Organisations
organisations-empty = Il n’y a pas encore d’organisation : aucun courrier n’est accepté avant.
organisations-add = Une nouvelle organisation
organisations-make = Créer
organisations-name-hint = a-z, 0-9 et tiret ; il ne change plus.
organisations-done = { $value } est créée. Ajoutez maintenant son premier domaine.
