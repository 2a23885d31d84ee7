# Où en sont les choses et ce qui est arrêté : remise suspendue, sorties, clés, certificats, ce qui
# est ignoré. Chaque clé est aussi dans ../en, à la même place.

queue-suspended =
    { $count ->
        [0] Remise suspendue
       *[other] Remise suspendue ({ $shown })
    }
queue-is-suspended = remise suspendue
suspended-title = Remise suspendue
suspended-words = Le courrier suspendu est accepté et attend ; rien n’en est envoyé. Il expire tout de même : reprenez la remise à temps.
suspended-empty = Aucune remise n’est suspendue.
suspended-what = Courrier suspendu
suspended-all = tout le courrier
suspended-to = courrier pour { $value }
suspended-of = courrier de { $value }
suspended-of-to = courrier de { $organisation } pour { $destination }
suspended-until = Jusqu’à
suspended-until-hint = 2h, 7d, un jour ou une heure. Vide : jusqu’à la reprise par quelqu’un.
suspended-until-resumed = jusqu’à la reprise
suspended-add = Suspendre la remise
suspended-destination-hint = Un domaine, comme example.com, ou une adresse entre crochets, comme [192.0.2.1]. Vide : toutes les destinations.
suspended-suspend = Suspendre
suspended-resume = Reprendre
suspended-question = Suspendre la remise : { $value } ?
suspended-question-resume = Reprendre la remise : { $value } ?
suspended-count =
    { $count ->
        [0] Aucun de ces messages n’attend actuellement.
        [one] Un de ces messages attend actuellement.
       *[other] { $shown } de ces messages attendent actuellement.
    }
suspended-done-suspend = La remise est suspendue : { $value }.
suspended-done-resume = La remise reprend : { $value }.

ignored-title = Tentatives ignorées
ignored-words = Des tentatives refusées que quelqu’un a choisi de ne plus voir. Elles restent refusées ; avec un autre motif, l’adresse réapparaît.
ignored-empty = Rien n’est ignoré.
ignored-for-good = jusqu’à nouvel affichage
ignored-show = Afficher de nouveau
ignored-link =
    { $count ->
        [one] Un groupe est ignoré
       *[other] { $shown } groupes sont ignorés
    }
ignored-done = Les tentatives de { $value } sont de nouveau affichées.

home-flowing = Tout circule.
home-today =
    { $count ->
        [0] Aucun message aujourd’hui pour l’instant.
        [one] Un message aujourd’hui.
       *[other] { $shown } messages aujourd’hui.
    }
home-end = Prochaine expiration : { $what }, { $when } ({ $time }).
home-end-certificate = le certificat de { $value }
home-end-client = le certificat client { $value }
home-end-login = la connexion de { $value }

standing-title = État actuel
standing-sign-in = Connexion
standing-no-sign-in = sans identification
standing-password = utilisateur et mot de passe
standing-oauth = OAuth
standing-certificate = certificat
standing-token = jeton valable jusqu’au { $value }, renouvelé automatiquement
standing-ends-secret = le secret client expire le { $value }
standing-ends-certificate = le certificat expire le { $value }
standing-ends-sign-in = la connexion expire le { $value }
standing-limits = Limites
standing-no-limits = sans limite
standing-per-minute = Messages dans la dernière minute : { $used } sur { $value }
standing-per-minute-most = Messages par minute : { $value } au plus
standing-per-day = Destinataires en 24 heures : { $used } sur { $value }
standing-connections = Connexions simultanées : { $value } au plus
standing-per-transaction = Destinataires par transaction : { $value } au plus
standing-error = Dernière erreur
standing-no-error = aucune en 7 jours
standing-failed = Une remise a échoué définitivement.
standing-deferred = Une remise n’a pas encore réussi ; elle sera retentée.
standing-days = Les 30 derniers jours
standing-day = Jour
standing-days-none = Aucun message n’en est sorti en 30 jours.
standing-days-finding = Remis : { $delivered }, différés : { $deferred }, en échec : { $failed } en 30 jours.

keys-title = Clés DKIM
keys-no-users = aucun
keys-nothing = Il n’y a pas encore de clé.
keys-waiting = en attente
keys-waiting-words = Publiez son enregistrement, ci-dessous. La clé signe d’elle-même dès que le DNS la montre.
keys-active = signe
keys-active-words = Elle signe le courrier depuis le { $value }. Laissez son enregistrement en place.
keys-missing = absente du DNS
keys-missing-words = Le DNS ne la montre plus depuis le { $value } : les destinataires ne peuvent pas vérifier ce qu’elle signe. Publiez de nouveau son enregistrement, ci-dessous.
keys-retiring = en remplacement
keys-retiring-words = Elle ne signe plus. Laissez son enregistrement en place jusqu’au { $value }, pour le courrier encore en route.
keys-retired = hors service
keys-retired-words = Son enregistrement peut être supprimé.
keys-generate = Créer les clés
keys-rotate = Changer les clés
keys-rotate-question = Créer de nouvelles clés pour { $value } ? Les clés actuelles signent jusqu’à ce que le DNS montre les nouvelles.
keys-look = Les chercher dans le DNS
keys-retire = Mettre hors service
keys-retire-question = Mettre la clé { $value } hors service dès maintenant ? Le courrier qu’elle a signé et qui est encore en route ne sera plus vérifiable une fois son enregistrement supprimé.
keys-done-generate = Les clés sont créées. Publiez les enregistrements ci-dessous.
keys-done-rotate = De nouvelles clés sont créées. Publiez leurs enregistrements ci-dessous : elles prennent le relais d’elles-mêmes.
keys-done-look = Le DNS vient d’être interrogé.
keys-done-retire = La clé est hors service.

certificates-accounts = Comptes
certificates-title = Certificats clients
certificates-words = Les certificats que nomment les connecteurs, et ceux que des clients ont montrés depuis le démarrage de Relais.
certificates-empty = Aucun connecteur ne nomme de certificat, et aucun client n’en a montré depuis le démarrage de Relais.
certificates-subject = Sujet
certificates-expected = Nommé par le connecteur, pas montré depuis le démarrage
certificates-no-connector = aucun
listeners-title = Ports d’écoute et certificats
listeners-words = Ce que montre chaque port d’écoute chiffré. Un fichier modifié prend effet de lui-même.
listeners-empty = Aucun port d’écoute n’est chiffré.
listeners-listener = Port d’écoute
listeners-source = Provenance
listeners-file = un fichier
listeners-acme = ACME, renouvelé automatiquement
listeners-own = créé par Relais
listeners-none = aucun ne peut être chargé
