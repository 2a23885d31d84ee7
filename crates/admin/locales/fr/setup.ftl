# Les premiers pas, en français. Chaque clé figure aussi dans ../en, au même endroit.

setup-steps = Premiers pas
setup-is-done = fait
setup-later = Tout est enregistré au fur et à mesure. Vous pourrez le modifier plus tard.
setup-leave-now = Partir maintenant, reprendre depuis l’accueil
setup-next = Suivant
setup-save = Enregistrer
setup-skip = Passer pour l’instant
setup-finish = Terminer
setup-minutes =
    { $count ->
        [one] environ une minute
       *[other] environ { $shown } minutes
    }
setup-you = Vous
setup-checks = Vérifications
setup-domain = Votre domaine
setup-leave = Comment le courrier sort
setup-senders = Qui peut envoyer
setup-prove = La preuve
setup-done = Cela marche
setup-organisation = Le nom de votre organisation
setup-postmaster = À qui Relais écrit
setup-postmaster-hint = L’adresse d’une personne : elle reçoit les alertes et les avis des appareils sans boîte aux lettres.
setup-language = Langue de ces messages
setup-hostname = Ce serveur se nomme
setup-hostname-hint = Les autres serveurs attendent le nom que le DNS donne à son adresse. Il se règle dans relais.toml :
setup-times = Fuseau horaire de ces pages
account-zone = Fuseau horaire
setup-checks-running = Tout est en cours de vérification ; cela prend jusqu’à 15 secondes.
setup-checks-so-far =
    { $count ->
        [one] Une vérification est arrivée.
       *[other] { $shown } vérifications sont arrivées.
    }
setup-checks-reload = Montrer ce qui est arrivé depuis
setup-checks-words = Inutile d’attendre, et rien ici ne doit être vert pour continuer.
setup-domain-name = Le domaine d’où vient votre courrier
setup-domain-hint = Ce qui suit le @ dans les adresses de vos appareils. Toute adresse du domaine peut alors envoyer ; une boîte aux lettres n’est pas nécessaire.
setup-verify-later = Je vérifierai plus tard
setup-unverified = Tant que le premier enregistrement ne montre pas que le domaine est à vous, son courrier est refusé. Pour un nom privé, sur le serveur :
setup-record-advice = (conseil)
setup-zone-file = En fichier de zone :
record-right = présent
record-absent = pas encore présent
record-differs = différent
record-unknown = inconnu
setup-leave-which = Le courrier sort
setup-leave-recommended = convient à votre domaine
setup-leave-elsewhere = demande une connexion ou un certificat : Connecteurs sortants
setup-smart-host = Hôte relais, si autre que celui proposé
setup-smart-host-hint = Nom et port, comme smtp.contoso.com:587. Vide : celui proposé.
setup-user = Utilisateur, s’il en demande un
setup-password = Mot de passe
setup-leave-test = L’essayer
setup-leave-made = Le courrier sort par
setup-leave-test-words = Le test lui parle jusqu’au destinataire, et n’envoie rien.
setup-leave-test-button = Tester maintenant
setup-transcript = Ce qui a été dit
setup-networks = Réseaux où se trouve ce serveur
setup-no-networks = Aucun n’a été trouvé.
setup-network-add = Peut envoyer :
setup-more = Autres adresses ou réseaux
setup-more-hint = Adresses d’imprimantes, d’applications, ou réseaux entiers, séparés par des espaces.
setup-wait = Ou attendre un appareil
setup-wait-words = Réglez son hôte relais sur ce serveur et appuyez sur Numériser : il est refusé, apparaît ici, et un clic le laisse entrer.
setup-prove-unverified = Rien ne peut encore être envoyé : le domaine n’est pas vérifié.
setup-prove-to = Envoyer un test à
setup-prove-hint = Une adresse extérieure dont vous pouvez ouvrir la boîte aux lettres.
setup-prove-send = Envoyer
setup-prove-again = En envoyer un autre
setup-prove-story = Ce qu’il devient
setup-prove-waiting = En route…
setup-prove-trace = Dans le suivi des messages :
setup-prove-delivered = L’autre serveur l’a pris.
setup-prove-arrived = Regardez dans la boîte : réception, indésirables, ou rien ? Dans les indésirables, les enregistrements de votre domaine et les vérifications disent pourquoi.
setup-done-words = Les appareils envoient à ce serveur :
setup-done-card = Régler un appareil
setup-done-card-words = ce qu’il faut y saisir
setup-done-devices = Voir qui frappe
setup-done-devices-words = et laisser entrer d’un clic
setup-done-alerts = Alertes
setup-done-alerts-words = à qui Relais écrit
