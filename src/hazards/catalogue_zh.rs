//! The catalogue in Chinese: of each hazard what it is, and what helps in general, in the words of PingCAP's Chinese documents.
//!
//! A table and nothing else. Names, values and commands are the finding's own and the same in every language.

use crate::fleet::hazard_id::HazardId;

/// Title and remedy of a hazard.
pub fn of(id: HazardId) -> Option<(&'static str, &'static str)> {
    TABLE.iter().find(|(known, ..)| *known == id).map(|(_, title, remedy)| (*title, *remedy))
}

#[rustfmt::skip]
static TABLE: &[(HazardId, &str, &str)] = &[
    (HazardId::WrongClusterDomain, "clusterDomain 与 Kubernetes 集群实际的域名不一致", "改为集群实际使用的域名"),
    (HazardId::ClusterDomainChanged, "clusterDomain 在 PD 启动之后被修改", "改回原来的 clusterDomain"),
    (HazardId::DuplicateTriple, "两个 TidbCluster 的名称、namespace 和 clusterDomain 完全相同", "为其中一个换用其他名称或 namespace"),
    (HazardId::AcrossK8sMissing, "未开启跨 Kubernetes 集群功能（acrossK8s）", "设置 acrossK8s: true"),
    (HazardId::CrdOrOperatorTooOld, "CRD 或 TiDB Operator 版本过旧，会丢弃 acrossK8s", "先升级 CRD 和 TiDB Operator"),
    (HazardId::OperatorVersionsDiffer, "各 Kubernetes 集群的 TiDB Operator 版本不一致", "把 TiDB Operator 升级到同一版本"),
    (HazardId::OperatorUpgradedBeforeAcrossK8s, "在设置 acrossK8s 之前升级了旧版 TiDB Operator", "先设置 acrossK8s，再升级 TiDB Operator"),
    (HazardId::ConfigNotRolled, "修改配置不会触发滚动更新", "设置 configUpdateStrategy: RollingUpdate，并为每个组件写上 config"),
    (HazardId::TiproxyWithAcrossK8s, "acrossK8s 与 TiProxy 不能同时使用", "从该 TidbCluster 中去掉 TiProxy"),
    (HazardId::PdMicroservicesAcrossK8s, "跨 Kubernetes 集群不支持 PD 微服务", "去掉 PD 微服务"),
    (HazardId::WrongClusterReference, "spec.cluster 指向的 TidbCluster 不正确", "把 spec.cluster 改为要加入的 TidbCluster 的名称、namespace 和 clusterDomain"),
    (HazardId::UnreplacedVariable, "变量或占位符没有被替换", "写入实际的值"),
    (HazardId::JoinWithData, "要加入的 TidbCluster 已经有自己的数据", "不支持合并；请用备份恢复的方式迁移数据"),
    (HazardId::FailoverOn, "自动故障转移处于开启状态", "设置 maxFailoverCount: 0"),
    (HazardId::Paused, "TidbCluster 处于暂停状态（paused）", "确认之后去掉 spec.paused"),
    (HazardId::RejectedByOperator, "TiDB Operator 拒绝处理该对象", "按照事件中的说明修正 spec"),
    (HazardId::PartialListPatch, "补丁会替换整个 PD 微服务列表", "提交完整的列表"),
    (HazardId::RemoteNameDoesNotResolve, "其他 Kubernetes 集群的名称无法解析", "检查 DNS 转发；用 verify-network 验证"),
    (HazardId::PortBlocked, "Kubernetes 集群之间的端口不通", "放通端口；用 verify-network 验证"),
    (HazardId::SanMissing, "证书缺少必需的 SAN", "重新签发带有这些名称的证书"),
    (HazardId::DifferentCa, "各成员的证书来自不同的 CA", "用同一个 CA 重新签发证书"),
    (HazardId::CommonNameMismatch, "证书的 Common Name 不在允许的列表中", "使 Common Name 与配置一致"),
    (HazardId::CertificateExpiry, "证书已经过期，或将在 15 天内过期", "更新证书（renew-certificates）"),
    (HazardId::TlsSecretMissing, "缺少 TLS 证书的 Secret", "签发证书并创建 Secret（issue-certificates）"),
    (HazardId::TlsToggled, "在运行中的 TidbCluster 上开启或关闭了 TLS", "按照给出的顺序恢复"),
    (HazardId::CertManagerV1alpha2, "cert-manager 不再提供 v1alpha2", "改用 cert-manager.io/v1"),
    (HazardId::SinglePdJoin, "加入的目标只有一个 PD", "先把 PD 扩容到三个"),
    (HazardId::NamelessMember, "存在从未启动过的 PD 成员", "让它的 Pod 启动，或在确认之后移除该成员"),
    (HazardId::DuplicatePdName, "PD 成员名称重复", "确认哪个成员有 Pod，移除没有 Pod 的成员"),
    (HazardId::UnevenPdSpread, "PD 的数量或分布不合理", "使用奇数个 PD，并分散到各 Kubernetes 集群"),
    (HazardId::PdRollingInTwo, "多个 Kubernetes 集群的 PD 同时在滚动更新", "等待其中一个完成之后再继续"),
    (HazardId::SinglePdUnsynced, "TiDB Operator 无法访问 PD，会强制重启", "先恢复 TiDB Operator 到 PD 的连接"),
    (HazardId::NoV2Members, "PD 8.4 起不再提供 /v2/members", "使用 etcd v3 接口；tidepilot 会自动选择"),
    (HazardId::MalformedPeerUrl, "peerURL 格式错误", "在重启任何成员之前修正（repair-peer-urls）"),
    (HazardId::LiteralVariableInPeerUrl, "单引号中的变量不会被替换", "改用双引号，或使用 migrate-cluster-domain"),
    (HazardId::PeerUrlLeadsElsewhere, "peerURL 指向了其他地址", "修正 peerURL（repair-peer-urls）"),
    (HazardId::PeerUrlsHalfUpdated, "peerURL 只更新了一部分", "更新其余成员（repair-peer-urls）"),
    (HazardId::PeerUrlShared, "两个成员使用同一个 peerURL", "修正 peerURL（repair-peer-urls）"),
    (HazardId::MembershipInDoubt, "成员变更的结果不确定", "先查询两个成员，再决定是否重试"),
    (HazardId::PeerUrlWrongScheme, "peerURL 的协议与 TLS 设置不一致", "修正 peerURL（repair-peer-urls）"),
    (HazardId::MemberIdConfused, "成员 ID 的十六进制与十进制被混淆", "以 tidepilot 显示的两种形式核对"),
    (HazardId::TunnelToWrongPd, "端口转发到了不确定的 PD", "转发到具体的 PD Pod"),
    (HazardId::MemberOfAnotherCluster, "成员属于其他 Kubernetes 集群", "在它所在的 Kubernetes 集群中操作"),
    (HazardId::DiscoveryUnavailable, "discovery 服务不可用", "恢复 discovery 的 Pod"),
    (HazardId::SecondBootstrap, "初始 TidbCluster 重新初始化成了另一个 TiDB 集群", "停止写入，并用备份或存活的成员恢复"),
    (HazardId::AsymmetricHealth, "成员的健康状态从不同位置看不一致", "检查成员之间的网络"),
    (HazardId::WholeVersionPatched, "直接修改了 spec.version", "使用 upgrade-cluster 按组件升级"),
    (HazardId::ReadyTooEarly, "Ready 状态早于实际完成", "以 StatefulSet 的版本为准，等待滚动更新结束"),
    (HazardId::UpgradeOutOfOrder, "组件升级顺序错误", "按 PD、TiFlash、TiKV、TiDB 的顺序升级（upgrade-cluster）"),
    (HazardId::Downgrade, "版本低于已经运行过的版本", "不支持降级；改回较新的版本"),
    (HazardId::ForceUpgradeLeft, "遗留了强制升级注解 force-upgrade", "删除该注解"),
    (HazardId::RegionsUnhealthy, "存在不健康的 Region", "等待 Region 恢复之后再重启"),
    (HazardId::TiflashMetadata, "TiFlash 元数据可能丢失", "先升级 TiDB Operator"),
    (HazardId::TooFewTikv, "TiKV 数量少于副本数", "扩容 TiKV"),
    (HazardId::TiflashReplicasRemain, "仍有表使用 TiFlash 副本", "先把这些表的 TiFlash 副本数设为 0"),
    (HazardId::DeletedTooEarly, "Pod 已删除，但 store 或成员仍在计数", "让 Pod 恢复，或在确认之后移除它们"),
    (HazardId::GhostMember, "PD 成员没有对应的 Pod", "确认之后移除该成员（repair-peer-urls）"),
    (HazardId::MajorityInLeaving, "多数 PD 位于要退出的 TidbCluster 中", "先在其他 TidbCluster 中扩容 PD"),
    (HazardId::ReferenceDeleted, "被引用的 TidbCluster 已删除", "把 spec.cluster 指向仍然存在的 TidbCluster"),
    (HazardId::OldClaims, "遗留了旧的 PVC", "确认之后删除旧的 PVC"),
    (HazardId::ReclaimPolicyDelete, "PV 的回收策略为 Delete", "设置 pvReclaimPolicy: Retain"),
    (HazardId::OutsideReady, "Ready 状态不包含该组件", "单独检查该组件的 Pod"),
    (HazardId::SilentEviction, "正在迁移 Region leader，最长可达 25 小时", "等待；查看 store 上剩余的 leader 数量"),
    (HazardId::OperatorDown, "TiDB Operator 没有运行", "恢复 TiDB Operator"),
    (HazardId::RightsDiffer, "各 Kubernetes 集群的权限不一致", "按 tidepilot rbac 的输出授权"),
    (HazardId::WrongContext, "命令可能作用于错误的 context 或 namespace", "为每个命令写明 --context 和 -n"),
    (HazardId::WaitsForDiscoveryPod, "等待的 Pod 包含 discovery", "在选择器中排除 discovery"),
    (HazardId::AcrossWithoutDomainOldOperator, "旧版 TiDB Operator 要求同时设置 clusterDomain", "设置 clusterDomain，或升级 TiDB Operator"),
    (HazardId::OverlappingChanges, "扩缩容与滚动更新同时进行", "等待其中一个完成"),
    (HazardId::Suspended, "组件处于挂起状态", "不再需要时去掉 suspendAction（resume-cluster）"),
    (HazardId::TooFewCopies, "Region 副本数过少", "设置 max-replicas = 3"),
    (HazardId::VolumesReclaimed, "缩容后的数据卷会被删除（enablePVReclaim）", "设置 enablePVReclaim: false"),
    (HazardId::NoVersion, "版本号无效或不明确", "写明完整的版本号，例如 v8.5.4"),
    (HazardId::NoDnsName, "名称不是有效的 DNS 名称", "使用有效的 DNS 名称"),
    (HazardId::DuplicateKey, "同一个键出现了两次", "只保留一个"),
    (HazardId::FailoverLeftOver, "遗留了故障转移产生的 Pod", "确认故障节点不再需要之后，清除 status 中的记录"),
    (HazardId::EvictionUnknownToPd, "PD 不知道正在进行的 leader 驱逐", "在 PD 中添加驱逐调度，或去掉 Pod 的注解"),
    (HazardId::ScaleInWithoutStoreId, "缩容的 Pod 缺少 store-id 标签", "为 Pod 加上 store-id 标签"),
    (HazardId::ResolverDiffers, "TiKV、TiFlash 与 PD 使用不同的 DNS 解析方式", "为 TiKV 和 TiFlash 设置 GRPC_DNS_RESOLVER=native"),
    (HazardId::UnknownComponent, "存在 tidepilot 不认识的组件", "单独确认该组件的状态"),
    (HazardId::CopiesNotSpread, "副本没有分散到不同的 Kubernetes 集群", "设置能区分 Kubernetes 集群的 location-labels"),
    (HazardId::UnknownField, "字段名拼写错误", "改正拼写"),
    (HazardId::PdMemberUnhealthy, "PD 成员不健康", "恢复它的 Pod"),
    (HazardId::CertificateUnusable, "证书无法使用", "重新签发证书（renew-certificates）"),
    (HazardId::SanIncomplete, "证书的 SAN 不完整", "重新签发带有全部名称的证书"),
    (HazardId::CertificateLooksSelfSigned, "证书看起来是自签名的", "重新签发证书（renew-certificates）"),
    (HazardId::CertificateWithoutKeyIds, "证书缺少密钥标识", "重新签发证书（renew-certificates）"),
    (HazardId::PdNoLeader, "PD 没有 leader", "恢复足够多的 PD 成员以形成多数"),
    (HazardId::ClusterDomainMissing, "缺少 clusterDomain", "设置该 Kubernetes 集群实际的 clusterDomain"),
    (HazardId::PeerUrlUnexpected, "peerURL 与预期不符", "修正 peerURL（repair-peer-urls）"),
    (HazardId::OneUidTwice, "两个 context 中出现同一个 UID", "确认两个 context 是否为同一个 Kubernetes 集群"),
    (HazardId::ClusterIdNotConfirmed, "cluster ID 未经 PD 成员证实", "恢复到 PD 的连接之后再判断"),
    (HazardId::RunRecordsUnguarded, "运行记录没有准入策略保护", "应用 run-records-policy.yaml"),
    (HazardId::StoreNotUp, "store 不处于 Up 状态", "恢复它的 Pod"),
    (HazardId::ComponentNotSettled, "组件尚未达到期望状态", "查看该组件的 Pod 和事件"),
    (HazardId::NotReady, "TiDB Operator 报告尚未就绪", "查看 TidbCluster 的 conditions"),
];

#[cfg(test)]
mod tests {
    use super::super::catalogue::CATALOGUE;
    use super::*;

    #[test]
    fn every_hazard_is_there_once_and_in_chinese() {
        let known: Vec<HazardId> = CATALOGUE.iter().map(|hazard| hazard.id).collect();
        let missing: Vec<&HazardId> = known.iter().filter(|id| of(**id).is_none()).collect();
        assert!(missing.is_empty(), "{missing:?}");
        for (index, (id, title, remedy)) in TABLE.iter().enumerate() {
            assert!(known.contains(id), "{id} is no hazard");
            assert!(TABLE.iter().skip(index + 1).all(|(other, ..)| other != id), "{id} stands twice");
            for text in [title, remedy] {
                let chinese = text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
                assert!(chinese && !text.contains("数据库") && !text.ends_with('。'), "{id}: {text}");
            }
        }
    }
}
