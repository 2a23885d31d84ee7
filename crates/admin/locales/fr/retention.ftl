# Conservation et confidentialité. Chaque clé figure aussi dans ../en, au même endroit.

nav-retention = Conservation et confidentialité
retention-whose = Pour
retention-subjects = Objets
retention-content = Contenu après la remise
retention-kept = Conservé actuellement
retention-most = sur { $value } au plus ; au-delà, le plus ancien part
retention-empty = Il n’y a pas encore d’organisation. Ce qui est conservé de son courrier sera indiqué ici.
retention-trace-words =
    { $count ->
        [one] Suivi : qui a écrit à qui, et ce qu’il en est advenu, est conservé un jour. Il répond à la plupart des questions sur un message qui n’arrive pas ; 90 jours par défaut.
       *[other] Suivi : qui a écrit à qui, et ce qu’il en est advenu, est conservé { $shown } jours. Il répond à la plupart des questions sur un message qui n’arrive pas ; 90 jours par défaut.
    }
retention-dialogue-words =
    { $count ->
        [0] Les conversations avec les appareils et les serveurs suivants ne sont pas conservées.
        [one] Les conversations avec les appareils et les serveurs suivants, sans mot de passe ni contenu, sont conservées un jour. Elles servent à régler les appareils ; 7 jours par défaut.
       *[other] Les conversations avec les appareils et les serveurs suivants, sans mot de passe ni contenu, sont conservées { $shown } jours. Elles servent à régler les appareils ; 7 jours par défaut.
    }
retention-content-words =
    { $count ->
        [0] Contenu : un message disparaît dès que son dernier destinataire est traité, sauf si une organisation ou un connecteur en décide autrement ci-dessous. C’est le réglage par défaut : ce qui n’est pas conservé ne peut pas fuiter.
        [one] Contenu : un message est conservé un jour après le traitement de son dernier destinataire, sauf si une organisation ou un connecteur en décide autrement ci-dessous. Par défaut, il n’est pas conservé.
       *[other] Contenu : un message est conservé { $shown } jours après le traitement de son dernier destinataire, sauf si une organisation ou un connecteur en décide autrement ci-dessous. Par défaut, il n’est pas conservé.
    }
retention-where = Ces durées sont les mêmes pour tous ; elles figurent sous [retention] dans relais.toml, sur le serveur, et s’appliquent à partir de son prochain démarrage.
retention-shown = notés
retention-masked = masqués
retention-inherited = comme l’organisation
retention-not-kept = pas conservé
retention-nothing = rien
retention-days =
    { $count ->
        [one] un jour
       *[other] { $shown } jours
    }
retention-messages =
    { $count ->
        [one] un message
       *[other] { $shown } messages
    }
retention-of = Courrier de { $value }
retention-subjects-hint = Masqués : *** remplace l’objet dans la file, le suivi, les exports, l’API, les webhooks et les journaux, pour tout le monde. Cela vaut pour le courrier reçu à partir de maintenant ; le message lui-même n’est pas modifié.
retention-content-days = Jours de conservation du contenu
retention-content-days-hint = De 0 à 366 après la dernière issue ; vide : comme l’indique le serveur. Qui peut lire le contenu ouvre alors le message depuis le suivi, et chaque lecture figure au journal d’audit. Quand le disque se remplit, le plus ancien part en premier.
retention-of-connector = Un connecteur de { $value }
retention-of-connector-words = Pour un appareil dont le courrier est plus sensible, ou doit être conservé plus longtemps. Les deux champs sont enregistrés ; ce qui reste vide suit l’organisation.
retention-as-organisation = comme l’organisation
retention-connector-days-hint = De 0 à 366 ; vide : comme l’organisation.
retention-days-wrong = { $value } n’est pas un nombre de jours de 0 à 366.

retention-view-days = Ce qui est conservé
retention-view-holds = Conservations légales
hold-title = Conservations légales
hold-words = Tant qu’une conservation légale est en vigueur, aucun jour du suivi et des conversations n’est supprimé, pour personne, car ils partent par jours entiers. Le contenu conservé qu’elle couvre reste au-delà de sa durée et quand le disque manque de place, et une adresse dont elle couvre le courrier n’est pas effacée. Elle ne conserve rien qui ne l’aurait pas été : le contenu est conservé là où sa durée dépasse 0 jour.
hold-none = Aucune conservation légale n’est en vigueur. Tout part à la fin de sa durée.
hold-what = Quoi
hold-why = Motif
hold-by = Posée par
hold-since = Depuis
hold-until = Jusqu’à
hold-on-address = Courrier de ou pour { $value }
hold-on-connector = Courrier du connecteur { $value }
hold-of-all = Toutes les organisations
hold-for-good = jusqu’à sa levée
hold-release = Lever
hold-release-question = Lever la conservation légale : { $value } ?
hold-release-words = Ce qu’elle couvre part dans l’heure si sa durée est écoulée et si aucune autre conservation n’est en vigueur.
hold-place = Poser la conservation
hold-place-title = Poser une conservation légale
hold-place-words = Sur une adresse ou sur un connecteur : remplissez l’un des deux. Elle compte aussitôt, et figure au journal d’audit.
hold-address = Adresse
hold-address-hint = Une adresse entière, comme anna@contoso.com : le courrier de ou pour elle.
hold-organisation-hint = Pour une adresse : seulement le courrier de cette organisation.
hold-connector = Connecteur entrant
hold-no-connector = aucun
hold-reason = Motif
hold-end = Fin automatique
hold-end-hint = 90d, ou un jour comme 2027-03-31 ; vide : à sa levée.
hold-done-placed = La conservation légale est en vigueur : { $value }.
hold-done-released = La conservation légale est levée : { $value }.

erase-title = Effacer une adresse
erase-words = Retire une adresse du suivi, des conversations et du contenu conservé, quand une personne le demande. Le courrier encore en file n’est pas touché et sera remis ; les paramètres, l’annuaire, les destinataires écartés et le journal d’audit non plus. Les sauvegardes la gardent jusqu’à leur suppression.
erase-address = Adresse
erase-address-hint = Une adresse entière, comme anna@contoso.com. Quelle que soit la casse, où qu’elle figure.
erase-everywhere = Toutes les organisations
erase-button = Effacer
erase-wrong = Écrivez une adresse entière, comme anna@contoso.com.
erase-question = Effacer { $value } de ce qui est conservé du courrier ?
erase-events =
    { $count ->
        [0] aucun événement du suivi
        [one] un événement du suivi
       *[other] { $shown } événements du suivi
    }
erase-conversations =
    { $count ->
        [0] aucune conversation
        [one] une conversation
       *[other] { $shown } conversations
    }
erase-contents =
    { $count ->
        [0] aucun message conservé
        [one] un message conservé
       *[other] { $shown } messages conservés
    }
erase-more = Il y en a d’autres : recommencez ensuite.
erase-unread = Ces jours du suivi sont illisibles et la gardent : { $value }.
erase-unread-conversations = Les conversations de ces jours sont illisibles et la gardent : { $value }.
erase-unwritten = Des événements en attente, car le suivi ne peut être écrit, la contiennent peut-être : { $value }. Recommencez une fois cela réparé.
erase-for-good = erased@erased.invalid la remplace. C’est définitif, et plus personne ne retrouvera ces messages par cette adresse.
erase-typed = Retapez l’adresse
erase-typed-wrong = Ce n’est pas la même adresse. Rien n’a été effacé.
erase-done = Effacé : { $value }.

content-title = Contenu
content-of = Contenu de { $value }
content-kept = Il est conservé jusqu’au { $value }.
content-audited = Chaque consultation est inscrite au journal d’audit.
content-show = Afficher le message
content-download = Télécharger en .eml
content-cut = La suite est dans le fichier.

report-schedules = Rapports par e-mail
report-schedules-words = Ils partent à 6 h 00 UTC par la file du relais, en texte, avec chaque tableau en fichier CSV. Un envoi manqué pendant l’arrêt du serveur est rattrapé une fois.
report-none = Aucun rapport n’est encore envoyé par e-mail. Choisissez ci-dessous lesquels partent vers qui.
report-which = Rapports
report-every = Quand
report-every-day = chaque jour
report-every-week = chaque lundi
report-every-month = le premier de chaque mois
report-to = À
report-to-hint = Jusqu’à 20 adresses, séparées par des virgules ou des retours à la ligne.
report-next = Prochain envoi
report-sent = Dernier envoi
report-never = pas encore
report-send = Envoyer maintenant
report-remove = Retirer
report-remove-question = Ne plus envoyer de rapports à { $value } ?
report-add = Envoyer des rapports
report-add-button = Ajouter
report-done-add = Les rapports partent désormais vers { $value }.
report-done-send = Il part vers { $value } dans quelques secondes.
report-done-remove = Plus aucun rapport ne part vers { $value }.
report-mail-day = { $place } : rapport du jour, { $day }
report-mail-week = { $place } : rapport de la semaine, { $day }
report-mail-month = { $place } : rapport du mois, { $day }
report-mail-end = Relais sur { $value } envoie ceci automatiquement. Son administrateur vous retire de la liste sous Rapports, Rapports par e-mail.

nav-settings-file = Importation / exportation
file-words = Les paramètres en un seul fichier : organisations, domaines, connecteurs, identifiants, annuaire. Les mots de passe y figurent sous forme d’empreintes, les secrets des connecteurs sortants pas du tout. C’est le fichier de relais export et de relais apply.
file-export = Télécharger settings.toml
file-export-words = Les paramètres sont à la version { $value }.
file-import = Importer un fichier de paramètres
file-import-words = Vous voyez d’abord ce qu’il changerait. Ensuite tout est changé d’un coup, ou rien. Ce que le fichier ne nomme pas reste.
file-file = Fichier
file-file-hint = Ce qu’un autre Relais a exporté, ou une partie avec [[organisation]] et son nom.
file-text = Ou son contenu
file-text-hint = Collé ici au lieu de choisir un fichier.
file-prune = Supprimer ce que le fichier ne nomme pas
file-prune-hint = Les paramètres sont alors exactement le fichier.
file-look = Montrer ce qui changerait
file-apply = Modifier les paramètres
file-would-change =
    { $count ->
        [0] Rien ne changerait.
        [one] Un objet changerait.
       *[other] { $shown } objets changeraient.
    }
file-default = (par défaut)
file-wrong = Le fichier est illisible : { $value }
file-none = Choisissez un fichier, ou collez son contenu.
file-both = Un fichier est choisi et un contenu est collé : envoyez l’un des deux.
file-done = C’est fait. Les paramètres sont à la version { $value }.

import-title = Reprendre l’ancien relais
import-words = Vous voyez d’abord ce qui serait ajouté et ce qui fonctionne autrement ici. Ensuite tout est ajouté d’un coup, désactivé : rien n’en sert tant que vous ne l’activez pas. Ce qui est déjà là reste tel quel. Les mots de passe ne sont jamais repris.
import-view-file = Fichier de paramètres
import-source = L’ancien relais
import-exchange = Exchange Server
import-online = Exchange Online
import-postfix = Postfix
import-iis = SMTP d’IIS
import-csv = Liste d’appareils
import-exchange-words = Dans Exchange Management Shell sur l’ancien serveur. La commande écrit un fichier avec ses connecteurs et ses domaines acceptés.
import-online-words = Dans Exchange Online PowerShell, après Connect-ExchangeOnline. La commande écrit un fichier avec les connecteurs et les domaines acceptés.
import-postfix-words = Sur l’ancien serveur, en root. La commande écrit un fichier avec ce qui est réglé et les tables présentes, sans mots de passe.
import-iis-words = Sur l’ancien serveur, en administrateur. La commande copie les paramètres d’IIS.
import-csv-words = Une liste avec ces colonnes, enregistrée en CSV depuis un tableur : le nom et l’adresse sont nécessaires, le reste peut être vide.
import-there = Sur l’ancien serveur
import-here = Ici
import-copy = Copier
import-copied = Copié
import-file = Le fichier
import-text = Ou son contenu
import-text-hint = Collé ici au lieu de choisir un fichier ; 4 Mo au plus. Les tables à côté d’un main.cf se lisent dans le terminal par relais import.
import-look = Montrer ce qui serait ajouté
import-review = Ce qui serait ajouté
import-would-add =
    { $count ->
        [0] Il n’y a rien à ajouter.
        [one] { $shown } objet serait ajouté, désactivé.
       *[other] { $shown } objets seraient ajoutés, tous désactivés.
    }
import-created = Ajouté, désactivé ({ $shown })
import-changed = Fonctionne autrement ici ({ $shown })
import-unsupported = Non repris ({ $shown })
import-dangerous = Dangereux tel quel ({ $shown })
import-proposal = L’ajouter
import-proposal-open = En fichier de paramètres
import-add = Tout ajouter, désactivé
import-done = Ajouté. Les paramètres sont à la version { $value } ; parcourez les connecteurs et activez ce qui est juste.
import-from = Importer d’Exchange, d’IIS ou de Postfix
import-from-words = ses connecteurs, ajoutés désactivés
import-begin-device-words = pas à pas, avec un test
