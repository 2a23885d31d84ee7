# Manières de regarder les listes, et ce qu’on en fait. Chaque clé est aussi dans ../en, à la même place.

views = Manières de regarder
time-ago = il y a { $value }
time-ahead = dans { $value }

queue-messages = Messages
queue-by-destination = Par destination
queue-by-reason = Par motif
queue-why = Pourquoi ils attendent
queue-never-tried = Pas encore essayés
queue-oldest = Le plus ancien
queue-expires = Abandon
queue-recipients =
    { $count ->
        [one] un destinataire
       *[other] { $shown } destinataires
    }
queue-partly-read = Il y en a plus : voici les plus grands groupes des { $shown } messages les plus anciens. Un filtre réduit la liste.

domains-used = Connecteurs
domains-add = Ajouter un domaine
domains-add-words = Il compte dès qu’un enregistrement dans son DNS montre qu’il est à vous ; la page suivante dit lequel.
domains-add-button = Ajouter
domains-added = Il est ajouté. Publiez le premier enregistrement ci-dessous : il est cherché tout seul.
domains-changed = Il est modifié.
domains-removed = { $value } est supprimé.
domains-subdomains = Ses sous-domaines aussi
domains-edit = Ce que { $value } fait du courrier qui lui est adressé
domains-edit-button = Modifier
domains-mailbox-host = Hôte des boîtes aux lettres
domains-mailbox-host-hint = Où va son courrier, quel que soit l’expéditeur : mail.contoso.com:25 ou lmtp:mail.contoso.com:24. Vide : par les connecteurs sortants.
domains-bounce = Domaine de retour
domains-bounce-hint = Pour des expéditeurs d’enveloppe signés, comme bounce.contoso.com. Vide : les expéditeurs restent tels quels.
domains-remove-words = Le courrier qui en vient est refusé dès lors, et celui qui lui est adressé n’est plus accepté d’inconnus. Le courrier déjà accepté est encore remis.
domains-signing = DKIM
domains-signed = Son courrier est signé.
domains-unsigned = Son courrier n’est pas signé.
domains-signing-missing = Son courrier est signé, mais le DNS ne montre plus la clé : les destinataires ne peuvent pas vérifier.
domains-signing-waits = Son courrier sera signé dès que le DNS montre la clé.

connector-reverted = La modification est annulée.

devices-tags = Étiquettes
devices-tags-hint = Pour la recherche, séparées par des virgules : imprimante, lyon.
devices-owner = Suivi par
devices-place = Emplacement
devices-note = Note
devices-write = Annoter
devices-maker = peut-être { $value }
devices-about = À propos de { $value }
devices-about-words = Ce qui est écrit ici s’adresse aux personnes : le courrier n’en dépend pas.
devices-written = Ce qui est écrit sur { $value } est enregistré.

attempts-block-question = Bloquer { $value } ? Cette adresse est refusée aussitôt, quoi qu’elle envoie, jusqu’à ce que quelqu’un lève la restriction à la page Restrictions.

home-login-ends = La connexion de { $value } expire bientôt.
home-login-fault = La connexion de { $value } échoue.
