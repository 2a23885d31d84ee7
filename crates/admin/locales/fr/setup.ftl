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
setup-prove = Faire la preuve
setup-done = Tout fonctionne
setup-organisation = Le nom de votre organisation
setup-postmaster = À qui Relais écrit
setup-postmaster-hint = L’adresse d’une personne : elle reçoit les alertes et les avis des appareils sans boîte aux lettres.
setup-language = Langue de ces messages
setup-hostname = Nom annoncé par ce serveur
setup-hostname-hint = Les autres serveurs attendent le nom que le DNS donne à son adresse. Il se règle dans relais.toml :
setup-times = Fuseau horaire de ces pages
account-zone = Fuseau horaire
setup-checks-running = Tout est en cours de vérification ; cela prend jusqu’à 15 secondes.
setup-checks-so-far =
    { $count ->
        [one] Une vérification est faite.
       *[other] { $shown } vérifications sont faites.
    }
setup-checks-reload = Afficher les nouveaux résultats
setup-checks-words = Inutile d’attendre, et rien n’a besoin d’être vert pour continuer.
setup-domain-name = Le domaine d’où vient votre courrier
setup-domain-hint = Ce qui suit le @ dans les adresses de vos appareils. Toute adresse du domaine peut alors envoyer ; une boîte aux lettres n’est pas nécessaire.
setup-domain-other = Un autre domaine
setup-domain-other-hint = Il prend la place de
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
setup-smart-host = Hôte intelligent, si différent de celui proposé
setup-smart-host-hint = Nom et port, par exemple smtp.contoso.com:587. Vide : celui proposé.
setup-user = Nom d’utilisateur, s’il en demande un
setup-password = Mot de passe
setup-leave-test = Le tester
setup-leave-made = Le courrier sort par
setup-leave-test-words = Le test dialogue avec le serveur jusqu’au destinataire, et n’envoie rien.
setup-leave-test-button = Tester maintenant
setup-transcript = Ce qui a été dit
setup-networks = Réseaux de ce serveur
setup-no-networks = Aucun n’a été trouvé.
setup-network-add = Peut envoyer :
setup-more = Autres adresses ou réseaux
setup-more-hint = Adresses d’imprimantes, d’applications, ou réseaux entiers, séparés par des espaces.
setup-wait = Ou attendre un appareil
setup-wait-words = Indiquez ce serveur comme serveur SMTP dans l’appareil et lancez une numérisation : elle est refusée, l’appareil apparaît ici, et un clic l’autorise.
setup-wait-nobody = Personne ne s’est présenté ces dernières 24 heures.
setup-prove-unverified = Rien ne peut encore être envoyé : le domaine n’est pas vérifié.
setup-prove-to = Envoyer un test à
setup-prove-hint = Une adresse extérieure dont vous pouvez ouvrir la boîte aux lettres.
setup-prove-send = Envoyer
setup-prove-again = Envoyer un autre test
setup-prove-story = Ce qu’il devient
setup-prove-waiting = En route…
setup-prove-trace = Dans le suivi des messages :
setup-prove-delivered = L’autre serveur l’a accepté.
setup-prove-arrived = Regardez dans la boîte aux lettres. Où est-il ?
arrived-inbox = Dans la boîte de réception : terminer
arrived-junk = Dans les indésirables
arrived-nothing = Nulle part
arrived-nothing-words = Attendez quelques minutes, et regardez aussi dans la quarantaine. L’autre serveur l’a pris, il sait donc ce qu’il en a fait : donnez à son administrateur la dernière ligne de l’échange ci-dessus.
arrived-paste = En-têtes du message
arrived-paste-hint = Dans Outlook : Afficher les détails du message ; dans Gmail : Afficher l’original. Collez le tout : c’est lu sur ce serveur, et rien n’est conservé.
arrived-explain = Expliquer
arrived-unread = Ces en-têtes n’ont pas d’Authentication-Results : collez-les tous, tels que le destinataire les montre.
arrived-all-good = Les enregistrements sont bons : c’est donc la réputation de l’expéditeur, ou le contenu. Un nouveau serveur a besoin de quelques jours de courrier ordinaire. Marquez-le comme légitime.
arrived-spf-pass = Ce serveur peut envoyer pour le domaine.
arrived-spf-fail = L’enregistrement SPF du domaine ne nomme pas ce serveur : ajoutez-le comme le dit l’étape 3.
arrived-dkim-pass = La signature est bonne.
arrived-dkim-fail = Aucune signature valable : publiez l’enregistrement DKIM de l’étape 3, et attendez qu’il soit visible.
arrived-dmarc-pass = L’expéditeur que voient les lecteurs est prouvé.
arrived-dmarc-fail = Ni SPF ni DKIM ne prouvent le domaine que voient les lecteurs : réparez d’abord l’enregistrement DKIM.
setup-done-words = Les appareils envoient à ce serveur :
setup-done-card = Imprimer une fiche de réglage
setup-done-card-words = ce qu’il faut saisir dans l’imprimante
setup-done-import = Reprendre l’ancien relais
setup-done-import-words = depuis Exchange, IIS, Postfix ou une liste d’appareils
setup-done-devices = Voir qui se présente
setup-done-devices-words = et l’autoriser d’un clic
setup-done-alerts = Choisir l’adresse des alertes
setup-done-alerts-words = à qui Relais écrit
