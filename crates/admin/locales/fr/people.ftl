# Administrateurs et rôles. Chaque clé figure aussi dans ../en, à la même place.

nav-people = Administrateurs et rôles
people-empty = Personne ne peut encore se connecter. Sur le serveur :
people-second = Il n’y a qu’un propriétaire. Un second est utile quand le premier est absent ou a perdu son mot de passe.
people-column-role = Rôle
people-column-reach = Voit
people-column-since = Depuis
people-all = toute l’installation
people-you = vous
people-add = Ajouter une personne
people-add-button = Ajouter
people-role = Rôle
people-organisation = Organisation
people-organisation-hint = Seule cette organisation est visible. Vide : toutes, et le serveur.
people-connector = Connecteur entrant
people-connector-hint = Pour un installateur : celui dont il voit les fiches de réglage.
people-change = Modifier { $value }
people-change-button = Modifier le rôle
people-reset-button = Nouveau mot de passe
people-remove-button = Supprimer
people-remove-question = Supprimer { $value } ? La personne est déconnectée aussitôt et ne peut plus revenir.
people-reset-question = Donner un nouveau mot de passe à { $value } ? La personne est déconnectée partout.
people-confirm = Confirmer
people-cancel = Annuler
people-secret = Le mot de passe de { $value }, affiché cette seule fois :
people-secret-hint = Transmettez-le autrement que par e-mail. La personne le change en cliquant sur son nom, en haut à droite.
people-done-role = Le rôle de { $value } est modifié ; la personne est déconnectée et doit se reconnecter.
people-done-remove = { $value } n’est plus administrateur.
people-last-owner = Le dernier propriétaire de l’installation ne peut être ni supprimé ni changé de rôle. Nommez-en d’abord un autre.
people-place = Cette organisation ou ce connecteur n’existe pas. Un installateur a besoin des deux.
role-owner = Propriétaire
role-owner-words = tout, y compris les personnes
role-operator = Opérateur
role-operator-words = le courrier et tous ses réglages, pas les personnes
role-helpdesk = Assistance
role-helpdesk-words = retrouve le courrier, sans l’objet, et ne modifie rien
role-auditor = Auditeur
role-auditor-words = lit tout, y compris le journal d’audit, et ne modifie rien
role-installer = Installateur
role-installer-words = les fiches de réglage d’un seul connecteur
people-roles = Ce que permettent les rôles

account-factor = Second facteur
account-factor-on = Un code de votre téléphone est demandé en plus du mot de passe.
account-factor-must = Un second facteur est exigé ici. Configurez-le ci-dessous pour continuer.
account-factor-off = Le mot de passe seul vous laisse entrer. Avec un second facteur, un mot de passe volé ne suffit pas.
account-factor-begin = Configurer un second facteur
account-factor-anew = En configurer un nouveau
account-factor-remove = Retirer le second facteur
account-codes-left =
    { $count ->
        [one] Il reste un code de secours.
       *[other] Il reste { $shown } codes de secours.
    }
account-done-factor-off = Le second facteur est retiré.
account-done-sessions = Cette session est terminée.
account-sessions = Où vous êtes connecté
account-browser = Navigateur
account-from = Depuis
account-began = Connexion
account-seen = Dernière activité
account-here = ici
account-end = Déconnecter
account-end-all = Déconnecter partout
factor-title = Second facteur
factor-words = Ouvrez une application d’authentification sur votre téléphone, ajoutez un compte et visez cette image.
factor-picture = Un code QR que l’application lit
factor-typed = Pas d’appareil photo ? Saisissez cette clé dans l’application :
factor-code = Code de l’application
factor-button = Confirmer
factor-wrong = Ce code n’est pas valable en ce moment. Attendez le suivant, et vérifiez l’heure du téléphone.
factor-late = Cela a pris trop de temps. Recommencez.
factor-recovery = Six chiffres, ou l’un de vos codes de secours.
factor-lost = Téléphone et codes perdus ? Sur le serveur :
factor-codes-title = Codes de secours
factor-codes-words = Chacun de ces codes vous laisse entrer une fois sans le téléphone. Ils ne sont affichés que cette fois : imprimez-les et gardez-les à l’abri des regards.
account-factor-passkey = Une clé d’accès est demandée en plus du mot de passe. Les codes d’un téléphone peuvent s’y ajouter.
account-passkeys = Clés d’accès
account-passkeys-words = Une clé d’accès vous laisse entrer sans mot de passe : votre téléphone, votre ordinateur ou une clé de sécurité demande votre doigt, votre visage ou son code PIN. Elle vaut les deux facteurs, et aucune fausse page ne peut s’en emparer.
account-done-passkey = La clé d’accès est ajoutée. La page de connexion la propose désormais.
account-done-passkey-removed = La clé d’accès est retirée. Supprimez-la aussi de votre appareil.
passkey-title = Nouvelle clé d’accès
passkey-words = Appuyez sur le bouton : votre navigateur demande quel appareil garde la clé d’accès.
passkey-name = Nom :
passkey-button = Créer la clé d’accès
passkey-known = Cet appareil a déjà une clé d’accès pour ce compte.
passkey-ended = Le navigateur a mis fin à la demande : elle a été annulée, a duré trop longtemps, aucune clé d’accès n’existe pour ce nom, ou le certificat de cette page n’est pas approuvé.
passkey-without = Ce navigateur ne propose pas de clé d’accès ici. Utilisez un code de votre téléphone.
passkey-script = Les clés d’accès ont besoin de JavaScript, désactivé dans ce navigateur. Les codes d’un téléphone fonctionnent sans lui.
passkey-sign-in = Se connecter avec une clé d’accès
passkey-now = Le mot de passe est juste. Présentez maintenant l’une de vos clés d’accès.
passkey-lost = Clés d’accès perdues ? Sur le serveur :
passkey-column-name = Nom de la clé d’accès
passkey-column-place = Présentée à
passkey-column-since = Ajoutée
passkey-column-used = Dernière utilisation
passkey-which = Laquelle
passkey-remove-one = Retirer une clé d’accès
passkey-remove = Retirer cette clé d’accès
passkey-add = Ajouter une clé d’accès
passkey-name-example = Pour la reconnaître : « Téléphone », « Clé du coffre ».
passkey-name-hint =
    { $count ->
       *[other] Une clé d’accès a un nom de 1 à { $shown } caractères.
    }
passkeys-full =
    { $count ->
       *[other] Il y a déjà { $shown } clés d’accès. Retirez-en une d’abord.
    }
passkey-refused = Cette clé d’accès ne compte pas : elle n’est pas connue ici, a été créée pour un autre nom, ou son appareil a été copié. Connectez-vous avec votre mot de passe ; la raison exacte figure dans le suivi des messages, sous SIGN-IN.
passkeys-need-name = Les clés d’accès ont besoin d’un nom : cette page a été ouverte par une adresse IP, et une clé d’accès appartient à un nom tel que relay.example.com.
passkeys-need-tls = Les clés d’accès ont besoin de https : cette page a été ouverte sans chiffrement, et les navigateurs n’en proposent pas dans ce cas.
people-sessions = Qui est connecté
people-acts = Actions
people-done-sign-out = Cette session de { $value } est terminée.
people-factor = Second facteur
people-factor-on = actif
people-reset-factor = Oublier aussi le second facteur et les clés d’accès : téléphone, codes de secours ou clés sont perdus

nav-sso = Authentification unique
sso-empty = Connexion locale seulement. Avec un émetteur comme Microsoft Entra, chacun utilise le compte qu’il a déjà, et qui quitte l’organisation perd aussi son accès ici.
sso-in-force = En vigueur
sso-issuer = Émetteur
sso-issuer-hint = Pour Entra : https://login.microsoftonline.com/ID-DU-LOCATAIRE/v2.0
sso-client = ID client
sso-secret = Secret client
sso-secret-hint = Vide : le secret actuel est conservé.
sso-redirect = URI de redirection
sso-redirect-words = Inscrivez cette URI de redirection (type : web) chez l’émetteur, à l’identique :
sso-claim = Revendication qui donne le rôle
sso-centre = Adresse de ce centre d’administration
sso-meanings = Signification de ses valeurs
sso-meanings-hint = Une par ligne : valeur = rôle, organisation, connecteur. Sans organisation, toutes sont visibles. La première ligne qui correspond compte ; qui ne correspond à aucune n’entre pas.
sso-draft = Configurer
sso-save-draft = Garder comme brouillon
sso-try = Essayer le brouillon
sso-try-button = Se connecter pour l’essayer
sso-untried = Connectez-vous une fois par l’émetteur avant que le brouillon puisse entrer en vigueur. Un essai ne change rien.
sso-tried = L’essai a réussi.
sso-adopt = Mettre en vigueur
sso-remove = Supprimer
sso-break-glass = Les comptes locaux restent valables : gardez un propriétaire avec un long mot de passe dans un coffre, pour le jour où l’émetteur ne répond pas.
sso-done-adopted = On se connecte désormais par l’émetteur.
sso-done-removed = Seuls les comptes locaux comptent désormais. Les personnes entrées par l’émetteur sont déconnectées.
sso-sign-in = Se connecter avec le compte de votre organisation
sso-back-title = Connexion
sso-go-on = Continuer
sso-other-browser = Cette connexion n’a pas commencé dans ce navigateur, ou il y a trop longtemps. Recommencez.
sso-no-code = L’émetteur ne vous a pas laissé entrer. { $value }
sso-incomplete = Remplissez chaque champ, avec au moins une ligne de rôles.
sso-not-https = L’émetteur et le centre d’administration doivent être joints en https.
sso-no-local-owner = Créez d’abord un propriétaire local de l’installation.
sso-no-role = { $value } est connu de l’émetteur, mais n’a pas de rôle ici. Adressez-vous à un propriétaire.
sso-failed = Cela n’a pas fonctionné : { $value }
signed-out-title = Déconnexion
signed-out-here = Vous êtes déconnecté ici.
signed-out-there = L’émetteur connaît encore ce navigateur et vous laisserait entrer sans rien demander. Sur un ordinateur partagé, déconnectez-vous aussi chez lui ; les autres programmes qui utilisent ce compte se ferment avec lui.
signed-out-leave = Se déconnecter aussi chez l’émetteur
signed-out-again = Se reconnecter
account-region = Langue et région
account-language = Langue des pages
account-done-region = La langue et le fuseau horaire sont gardés avec votre nom.
you-factor = Votre propre connexion peut avoir un second facteur :
you-factor-link = une clé d’accès ou un code de votre téléphone
sign-in-ended =
    { $count ->
       *[other] Votre session est terminée : elle prend fin après { $shown } minutes sans clic, ou quand on y met fin ailleurs. Connectez-vous pour continuer.
    }
people-unknown = Il n’y a plus d’administrateur de ce nom.
people-too-many =
    { $count ->
       *[other] Il y a déjà { $shown } administrateurs. Retirez-en un d’abord.
    }
